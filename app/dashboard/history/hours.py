"""Candles enter once; bars of whole hours leave, folded from what is kept of them.

Where TimescaleDB has no continuous aggregates, a rollup is a view: a year of it means half a
million rows each time. What decisions used (revision 0) never changes once it is stored, so the
hours that have ended are asked for once and kept.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import Any

from app.dashboard.history.bars import DAY, HOUR, start_of
from app.dashboard.history.store import View
from app.dashboard.values import milliseconds
from app.storage.values import instant

STEP = 92 * DAY
"""How much is asked for at once."""

LENGTH = timedelta(milliseconds=HOUR)
FIRST = """
SELECT time FROM candles WHERE instrument = $1 AND revision = 0 ORDER BY time LIMIT 1
"""

Row = Mapping[str, Any]
"""A bar: `bucket` (a millisecond after its start), prices, volume, trades, complete, candles."""


@dataclass(slots=True)
class _Kept:
    """What is kept of one instrument: its hours, oldest first, whole up to a time."""

    hours: list[Row] = field(default_factory=list)
    until: int | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Hours:
    """Keeps the hours of every instrument that was asked for.

    Args:
        query: Asks for bars of an instrument in (begin, end] by a length.
    """

    def __init__(self, query: str) -> None:
        self._query = query
        self._of: dict[str, _Kept] = {}

    async def bars(
        self, view: View, instrument: str, span: tuple[int, int], interval: int, through: int
    ) -> list[Row]:
        """Return the bars of a window, oldest first.

        Args:
            view: The tables.
            instrument: The instrument.
            span: The window, [begin, end), milliseconds since the epoch UTC, whole bars.
            interval: A bar's length, whole hours in milliseconds.
            through: The end of the newest candle, milliseconds since the epoch UTC.
        """
        kept = self._of.setdefault(instrument, _Kept())
        async with kept.lock:
            await self._extend(view, instrument, kept, through // HOUR * HOUR)
        begin, end = span
        first = bisect_left(kept.hours, begin, key=begin_of)
        found = kept.hours[first : bisect_left(kept.hours, end, key=begin_of)]
        if end > (kept.until or 0):
            found += await self._ask(view, instrument, max(begin, kept.until or 0), end)
        return fold(found, interval)

    async def _extend(self, view: View, instrument: str, kept: _Kept, whole: int) -> None:
        """Ask for the hours that have ended since the last time."""
        if kept.until is not None and whole < kept.until:
            kept.hours, kept.until = [], None  # an older database, or another one
        if kept.until is None:
            first = milliseconds(await view.fetchval(FIRST, instrument))
            kept.until = whole if first is None else start_of(first - 1, HOUR)
        while kept.until < whole:
            end = min(kept.until + STEP, whole)
            kept.hours += await self._ask(view, instrument, kept.until, end)
            kept.until = end

    async def _ask(self, view: View, instrument: str, begin: int, end: int) -> list[Row]:
        found = await view.fetch(self._query, instrument, instant(begin), instant(end), LENGTH)
        return [dict(row) for row in found]


def fold(hours: Sequence[Row], interval: int) -> list[Row]:
    """Return longer bars, as the same query would have made them of the candles."""
    groups = groupby(hours, lambda hour: start_of(begin_of(hour), interval))
    return [_bar(start, list(rows)) for start, rows in groups]


def _bar(start: int, hours: list[Row]) -> Row:
    # What had no trades repeats the last close, so it counts only where nothing had any.
    traded = [hour for hour in hours if hour["trades"]]
    close = hours[-1]["close"]
    return {
        "bucket": instant(start + 1),
        "open": traded[0]["open"] if traded else close,
        "high": max(hour["high"] for hour in traded) if traded else close,
        "low": min(hour["low"] for hour in traded) if traded else close,
        "close": close,
        "volume": sum(hour["volume"] for hour in hours),
        "trades": sum(hour["trades"] for hour in hours),
        "complete": all(hour["complete"] for hour in hours),
        "candles": sum(hour["candles"] for hour in hours),
    }


def begin_of(bar: Row) -> int:
    """Return when a bar begins, milliseconds since the epoch UTC."""
    return (milliseconds(bar["bucket"]) or 0) - 1
