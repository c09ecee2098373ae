"""An interval's name and a time come in, the open times of candles go out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
MONDAY = 4 * DAY  # the epoch was a Thursday

_WIDTHS = {
    "1s": SECOND,
    **{f"{n}m": n * MINUTE for n in (1, 3, 5, 15, 30)},
    **{f"{n}h": n * HOUR for n in (1, 2, 4, 6, 8, 12)},
    "1d": DAY,
    "3d": 3 * DAY,
    "1w": 7 * DAY,
}
NAMES = frozenset((*_WIDTHS, "1M"))


@dataclass(frozen=True, slots=True)
class Interval:
    """A candle's interval; times are milliseconds UTC since the epoch.

    Attributes:
        name: one of `NAMES`; case matters.
        offset: how far its day begins before that of UTC, in milliseconds (UTC+8: 8 hours).
    """

    name: str
    offset: int = 0

    def open_of(self, time: int) -> int:
        """Return the open time of the candle that holds a time."""
        local = time + self.offset
        if self.name == "1M":
            return _month(local, 0) - self.offset
        anchor = MONDAY if self.name == "1w" else 0
        return local - (local - anchor) % _WIDTHS[self.name] - self.offset

    def next_open(self, open_time: int) -> int:
        """Return the open time of the candle after the one that opens then."""
        if self.name == "1M":
            return _month(open_time + self.offset, 1) - self.offset
        return open_time + _WIDTHS[self.name]


def _month(time: int, later: int) -> int:
    date = datetime.fromtimestamp(time // 1000, UTC)
    year, month = divmod(date.year * 12 + date.month - 1 + later, 12)
    return int(datetime(year, month + 1, 1, tzinfo=UTC).timestamp()) * 1000
