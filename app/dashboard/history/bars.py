"""A window and the width of a screen enter; the length of a bar and where bars start leave."""

from __future__ import annotations

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
LADDER = (
    SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    4 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
)
ROLLUPS = (
    (DAY, "candles_1d"),
    (HOUR, "candles_1h"),
    (15 * MINUTE, "candles_15m"),
    (5 * MINUTE, "candles_5m"),
)
"""Stored rollups, the longest first."""

BASE = "candles"
MOST_BARS = 2_000
ORIGIN = 946_857_600_000
"""2000-01-03, a Monday: where time_bucket counts from, so weeks begin on Mondays."""


def fitting(span: int, base: int, points: int) -> int:
    """Return the shortest length of the ladder that gives at most `points` bars, milliseconds."""
    lengths = [base, *(length for length in LADDER if length > base and not length % base)]
    return next((length for length in lengths if span <= length * points), lengths[-1])


def allowed(interval: int, base: int) -> bool:
    """Tell whether bars may be so long: a multiple of the base that divides a day, or some days."""
    if interval < base or interval % base or interval > LADDER[-1]:
        return False
    return not (DAY % interval if interval < DAY else interval % DAY)


def source(interval: int, base: int) -> tuple[str, int]:
    """Return the table with the longest stored candles that make such bars, and their length."""
    for length, table in ROLLUPS:
        if not interval % length and length > base and not length % base:
            return table, length
    return BASE, base


def start_of(time: int, interval: int) -> int:
    """Return the start of the bar that covers [start, start + interval) and holds a time."""
    return (time - ORIGIN) // interval * interval + ORIGIN
