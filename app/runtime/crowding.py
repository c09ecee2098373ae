"""How much each machine holds for want of another topic enters; whether to read on leaves."""

from __future__ import annotations

MOST_AHEAD = 10_000
"""Records or trades, of one partition, that may wait in memory for what stands on another topic."""


class Crowd:
    """What the machines of one partition hold that reading more of a topic can't release.

    Decisions wait for one another, trades don't: after an outage, or in an import, execution would
    read all there is and hold it until the orders for it came.
    """

    def __init__(self) -> None:
        self._ahead: dict[str, int] = {}
        self._hungry: set[str] = set()
        self._sum = 0

    def note(self, key: str, ahead: int | None) -> None:
        """Take note of what a machine holds; none where it needs more of the topic itself."""
        self._sum += (ahead or 0) - self._ahead.get(key, 0)
        self._ahead[key] = ahead or 0
        if ahead is None:
            self._hungry.add(key)
        else:
            self._hungry.discard(key)

    @property
    def full(self) -> bool:
        """Whether it is enough, and nobody needs more."""
        return self._sum > MOST_AHEAD and not self._hungry
