"""An instrument and a window enter; its bars, with gaps and revisions, leave."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from app.dashboard.errors import MISSING, OUT_OF_RANGE, AnswerError
from app.dashboard.history.bars import (
    BASE,
    MOST_BARS,
    ROLLUPS,
    allowed,
    fitting,
    source,
    start_of,
)
from app.dashboard.history.hours import Hours, Row, begin_of
from app.dashboard.history.store import View
from app.dashboard.values import milliseconds, rows, text
from app.storage.values import instant

COLUMNS = (
    "time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "trades",
    "complete",
    "closed",
    "revision",
)
MOST_MENDED = 10

NEWEST = """
SELECT time, interval_ms FROM candles WHERE instrument = $1 AND revision = 0
ORDER BY time DESC LIMIT 1
"""
OLDER = """
SELECT EXISTS (SELECT FROM candles WHERE instrument = $1 AND revision = 0 AND time <= $2)
"""
BARS = """
SELECT
    time_bucket($4::interval, {end}, "offset" => '1 millisecond'::interval) AS bucket,
    coalesce(first(open, {end}) FILTER (WHERE trades > 0), last(close, {end})) AS open,
    coalesce(max(high) FILTER (WHERE trades > 0), last(close, {end})) AS high,
    coalesce(min(low) FILTER (WHERE trades > 0), last(close, {end})) AS low,
    last(close, {end}) AS close, sum(volume) AS volume, sum(trades)::bigint AS trades,
    bool_and(complete) AS complete, {count} AS candles
FROM {table}
WHERE instrument = $1 AND {end} > $2 AND {end} <= $3{which}
GROUP BY 1 ORDER BY 1
"""
QUERIES = {
    BASE: BARS.format(table=BASE, end="time", count="count(*)", which=" AND revision = 0")
} | {
    # A rollup's bucket is a millisecond after its start, and what chunks are chosen by.
    name: BARS.format(table=name, end="bucket", count="sum(candles)", which="")
    for _, name in ROLLUPS
}
ROLLED_UP = (ROLLUPS[0][1], ROLLUPS[1][1])
"""Of these a year may be asked for at once."""

STORED = """
SELECT EXISTS (
    SELECT FROM timescaledb_information.continuous_aggregates
    WHERE view_schema = current_schema() AND view_name = 'candles_1h')
"""
GAPS = """
SELECT from_time, to_time, instrument, first_id, last_id, reason, identity, topic_partition,
    topic_offset
FROM gaps WHERE instrument = $1 AND from_time < $3 AND to_time >= $2
ORDER BY from_time, identity LIMIT 1000
"""
REVISIONS = """
SELECT time, revision, open, high, low, close, volume, trades, identity, origin, topic_partition,
    topic_offset
FROM candles WHERE instrument = $1 AND revision > 0 AND time > $2 AND time <= $3
ORDER BY time, revision LIMIT 1000
"""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of an instrument's past, as it is to be shown.

    Attributes:
        instrument: The instrument.
        begin, end: Milliseconds since the epoch UTC; the bars cover [begin, end).
        interval: A bar's length, milliseconds.
        base: A candle's length, milliseconds.
        through: The end of the newest candle, milliseconds since the epoch UTC.
    """

    instrument: str
    begin: int
    end: int
    interval: int
    base: int
    through: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for; none: as it fits."""

    instrument: str
    begin: int | None
    end: int | None
    points: int
    interval: int | None


async def window(view: View, asked: Asked) -> Window:
    """Return the window that an instrument has for what is asked.

    Raises:
        AnswerError: It has no candles, or the bars can't be so long.
    """
    newest = await view.fetchrow(NEWEST, asked.instrument)
    if newest is None:
        raise AnswerError(
            MISSING,
            f"there are no candles of {asked.instrument} yet: the first comes with the first "
            f"whole interval after it joined.",
        )
    through, base = milliseconds(newest["time"]) or 0, newest["interval_ms"]
    end = through if asked.end is None else asked.end
    interval = _interval(asked, base, end)
    begin = end - asked.points * interval if asked.begin is None else asked.begin
    first = start_of(end - 1, interval) - (MOST_BARS - 1) * interval
    begin = max(start_of(begin, interval), first)
    end = start_of(end - 1, interval) + interval
    return Window(asked.instrument, begin, end, interval, base, through)


def _interval(asked: Asked, base: int, end: int) -> int:
    if asked.interval is None:
        begin = asked.begin
        return base if begin is None else fitting(end - begin, base, asked.points)
    if not allowed(asked.interval, base):
        raise AnswerError(
            OUT_OF_RANGE,
            f"interval was {asked.interval} ms, must be a multiple of {base} ms that divides a "
            f"day, or 1 to 7 days.",
        )
    return asked.interval


async def candles(view: View, asked: Asked, hours: Hours) -> dict[str, Any]:
    """Return an instrument's bars in a window, as the API gives them.

    Args:
        view: The tables.
        asked: What is asked for.
        hours: Has the hours where the tables don't keep any.
    """
    found = await window(view, asked)
    span = (found.instrument, instant(found.begin), instant(found.end))
    revisions = rows(await view.fetch(REVISIONS, *span), "candles")
    bars = await _bars(view, found, hours)
    return {
        "instrument": found.instrument,
        "interval": found.interval,
        "base": found.base,
        "source": source(found.interval, found.base)[0],
        "from": found.begin,
        "to": found.end,
        "through": found.through,
        "more": await view.fetchval(OLDER, found.instrument, instant(found.begin)),
        "cursor": view.cursor,
        "columns": COLUMNS,
        "bars": [_bar(bar, found, revisions) for bar in bars if bar["close"] is not None],
        "gaps": rows(await view.fetch(GAPS, *span), "trades"),
        "revisions": revisions,
    }


async def _bars(view: View, found: Window, hours: Hours) -> list[Row]:
    """Return the bars from the coarsest table, those that are not whole there from the candles.

    What a rollup holds of a bar that still grew when it was refreshed is old; it is the ones with
    too few candles, seldom more than the first and the last.
    """
    table, _ = source(found.interval, found.base)
    if table in ROLLED_UP and not await view.fetchval(STORED):
        span = found.begin, found.end
        return await hours.bars(view, found.instrument, span, found.interval, found.through)
    bars = await _fetch(view, table, found)
    whole = found.interval // found.base
    short = [n for n, bar in enumerate(bars) if table != BASE and bar["candles"] < whole]
    for number in dict.fromkeys((*short[:1], *short[-MOST_MENDED:])):
        begin = begin_of(bars[number])
        part = replace(found, begin=begin, end=begin + found.interval)
        bars[number] = ((await _fetch(view, BASE, part)) or [bars[number]])[0]
    return bars


async def _fetch(view: View, table: str, found: Window) -> list[Row]:
    length = timedelta(milliseconds=found.interval)
    rows = await view.fetch(
        QUERIES[table], found.instrument, instant(found.begin), instant(found.end), length
    )
    return list[Row](rows)


def _bar(bar: Row, found: Window, revisions: list[dict[str, Any]]) -> list[Any]:
    start = begin_of(bar)
    end = start + found.interval
    revised = [row["revision"] for row in revisions if start < row["time"] <= end]
    return [
        start,
        *(text(bar[name]) for name in ("open", "high", "low", "close", "volume")),
        bar["trades"],
        bar["complete"],
        found.through >= end,
        max(revised, default=0),
    ]
