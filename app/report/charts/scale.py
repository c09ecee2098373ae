"""A range of values or times enters; positions on a chart and readable ticks leave."""

from __future__ import annotations

import math
from dataclasses import dataclass

from app.report.numbers import sign
from app.times import format_time, parse_time

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_STEPS = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500),
    *(each * SECOND for each in (1, 2, 5, 10, 15, 30)),
    *(each * MINUTE for each in (1, 2, 5, 10, 15, 30)),
    *(each * HOUR for each in (1, 2, 3, 6, 12)),
    *(each * DAY for each in (1, 2, 4, 7, 14)),
)
_SIZES = ((1e8, 1e9, "G"), (1e5, 1e6, "M"), (1e4, 1e3, "k"))
_MONTH_STEPS = (1, 2, 3, 6, 12, 24, 60, 120)
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from values to pixels.

    Attributes:
        low, high: The values at `begin` and `end`; `low` is below `high`.
        begin, end: Pixels.
    """

    low: float
    high: float
    begin: float
    end: float

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        part = (value - self.low) / (self.high - self.low)
        return self.begin + part * (self.end - self.begin)


def widen(low: float, high: float) -> tuple[float, float]:
    """Return a range with some room on both sides, of some height even where all is one value."""
    largest = max(abs(low), abs(high))
    part = max((high - low) * 0.06, largest * 1e-6) if high > low else largest * 0.01
    room = part or 1.0
    return low - room, high + room


def value_ticks(low: float, high: float, most: int) -> list[float]:
    """Return round values within a range, at most so many, 1, 2 or 5 apart times a power of ten."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1.0, 2.0, 5.0, 10.0) if each * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def tick_text(value: float, step: float) -> str:
    """Return a tick's text with the places its step needs; k, M and G for steps of 10,000 on."""
    for begin, size, name in _SIZES:
        if step >= begin:
            return sign(f"{value / size:,.{_places(step / size)}f}{name}") if value else "0"
    return sign(f"{value:,.{_places(step)}f}")


def _places(step: float) -> int:
    return max(0, -math.floor(math.log10(step) + 1e-9))


def time_ticks(low: int, high: int, most: int) -> list[tuple[int, str]]:
    """Return round times, UTC, within a range, at most about so many, each with its text.

    From steps of a month on they are the firsts of months.
    """
    span = max(1, high - low)
    step = next((each for each in _STEPS if span // each < most), None)
    if step is None:
        return _month_ticks(low, high, most)
    first = -(-low // step)
    times = [number * step for number in range(first, high // step + 1)]
    return [(time, _time_text(time, step)) for time in times]


def _month_ticks(low: int, high: int, most: int) -> list[tuple[int, str]]:
    first, last = _month(low), _month(high)
    step = next((each for each in _MONTH_STEPS if (last - first) // each < most), 600)
    found = []
    for month in range(-(-first // step) * step, last + 1, step):
        year, number = divmod(month, 12)
        time = parse_time(f"{1970 + year:04d}-{number + 1:02d}-01")
        if low <= time <= high:
            found.append((time, f"{_MONTHS[3 * number : 3 * number + 3]} {1970 + year}"))
    return found


def _month(time: int) -> int:
    """Return the months since 1970-01."""
    written = format_time(time)
    return (int(written[:4]) - 1970) * 12 + int(written[5:7]) - 1


def _time_text(time: int, step: int) -> str:
    written = format_time(time)
    if step >= DAY or time % DAY == 0:
        at = 3 * int(written[5:7]) - 3
        return f"{int(written[8:10])}\u00a0{_MONTHS[at : at + 3]}"
    if step >= MINUTE:
        return written[11:16]
    return written[11:19] if step >= SECOND else written[14:23]
