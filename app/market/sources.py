"""What each connection has shown of one instrument enters; whether to trust its silence leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PROOFS = 2


@dataclass(slots=True)
class _Source:
    opened: float
    told: bool = False
    empty: int = 0
    asked: float = 0.0


class Sources:
    """The connections that carry an instrument.

    A connection tells of every trade since it was subscribed, but not of those before. Once it
    has told of one, ids show whether something is missing. Until then its silence means nothing;
    it is sound only once REST had twice nothing newer than what is taken, a pause apart.

    Args:
        times: The newest exchange time of every open connection, a live view, milliseconds.
        pause: The least seconds between two questions that count.
        now: Seconds of the monotonic clock.

    Attributes:
        unsound_since: Since when none has been sound; meaningful only while none is.
    """

    def __init__(self, times: Mapping[int, int], pause: float, now: float) -> None:
        self.unsound_since = now
        self._times = times
        self._pause = pause
        self._sources: dict[int, _Source] = {}

    def __bool__(self) -> bool:
        return bool(self._sources)

    def open(self, connection: int, now: float) -> None:
        """Take note that a connection carries the instrument from now on."""
        if not self._sources:
            self.unsound_since = now
        self._sources.setdefault(connection, _Source(now))

    def lose(self, connection: int, now: float) -> None:
        """Take note that a connection has ended."""
        if self._sources.pop(connection, None) is not None:
            self.unsound_since = now

    def tell(self, connection: int, now: float) -> None:
        """Take note of a trade that a connection told of."""
        # An event may come before the reply to the subscription does.
        self.open(connection, now)
        self._sources[connection].told = True

    def nothing_newer(self, asked: float) -> None:
        """Take note that REST, asked at that time, had nothing that is not taken."""
        for source in self._sources.values():
            late_enough = not source.empty or asked - source.asked >= self._pause
            if source.opened <= asked and late_enough:
                source.empty += 1
                source.asked = asked

    def something_newer(self) -> None:
        """Take note that REST had trades that were not taken."""
        for source in self._sources.values():
            if source.empty < PROOFS:
                source.empty = 0

    def sound(self) -> list[int]:
        """Return the connections whose silence, up to their newest time, means something."""
        return [
            connection
            for connection, source in self._sources.items()
            if source.told or source.empty >= PROOFS
        ]

    def newest(self, connections: list[int] | None = None) -> int:
        """Return the newest exchange time of some, or of all, connections; 0 for none."""
        chosen = self._sources if connections is None else connections
        return max((self._times.get(connection, 0) for connection in chosen), default=0)
