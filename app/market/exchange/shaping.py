"""Aggregates of one symbol come in; what its streams show of them, when told to lie, goes out."""

from __future__ import annotations

from app.market.exchange.log import Entry


class Shaper:
    """Counts down what was ordered: aggregates to skip, repeat, reorder or delay."""

    def __init__(self) -> None:
        self.skip = 0
        self.repeat = 0
        self.reorder = 0
        self.delay = 0
        self.delay_seconds = 0.0
        self._collected: list[Entry] = []

    def shape(self, entry: Entry) -> list[Entry]:
        """Return what is shown now in place of the next aggregate."""
        if self.skip:
            self.skip -= 1
            return []
        if self.repeat:
            self.repeat -= 1
            return [entry, entry]
        if self.reorder:
            return self._reordered(entry)
        return [entry]

    def delayed(self) -> float:
        """Return the real seconds by which to delay what is shown now."""
        if not self.delay:
            return 0.0
        self.delay -= 1
        return self.delay_seconds

    def _reordered(self, entry: Entry) -> list[Entry]:
        self._collected.append(entry)
        if len(self._collected) < self.reorder:
            return []
        shown, self._collected, self.reorder = self._collected[::-1], [], 0
        return shown
