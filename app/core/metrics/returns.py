"""An equity curve enters; its returns over equal periods leave, and what their length is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from app.core.metrics.arrays import Floats, Times

HOUR = 3_600_000
DAY = 86_400_000
YEAR = 365 * DAY
"""Crypto markets never close: a year is 365 days of 24 hours, in milliseconds."""

DAILY_FROM = 30 * DAY
HOURLY_FROM = 2 * DAY


@dataclass(frozen=True, slots=True)
class Sampling:
    """How often the equity is looked at for volatility and the ratios made of it.

    Attributes:
        name: In words.
        period: Milliseconds between two looks.
        window: How many returns a rolling figure takes.
    """

    name: str
    period: int
    window: int

    @property
    def per_year(self) -> float:
        """How many periods a year has: what ratios are annualised by."""
        return YEAR / self.period


@dataclass(frozen=True, slots=True)
class Returns:
    """Returns over whole periods.

    Attributes:
        sampling: The length of a period.
        times: The end of each period, milliseconds since the epoch UTC.
        values: equity at the end / equity at the begin - 1; empty where some equity was not
            above zero.
        broken: Whether some equity was not above zero.
    """

    sampling: Sampling
    times: tuple[int, ...]
    values: tuple[float, ...]
    broken: bool


def sampling(duration: int, interval: int) -> Sampling:
    """Return how to sample a run.

    Daily at 00:00 UTC from 30 days on, hourly from 2 days on, else at every decision time; never
    more often than decisions are made.

    Args:
        duration: From the first decision time to the last, milliseconds.
        interval: The base interval, milliseconds.
    """
    if duration >= DAILY_FROM or interval > HOUR:
        return Sampling("daily at 00:00 UTC", DAY, 30)
    if duration >= HOURLY_FROM:
        return Sampling("hourly", HOUR, 24)
    return Sampling("at every decision time", interval, 60)


def sample(times: Times, equity: Floats, how: Sampling) -> Returns:
    """Return the simple returns over whole periods on multiples of the period since the epoch.

    The equity at a boundary is that of the last decision time not after it. What lies before the
    first boundary or after the last is left out: a part of a period is no sample of a period.
    """
    first = -(-int(times[0]) // how.period)
    last = int(times[-1]) // how.period
    if last <= first:
        return Returns(how, (), (), broken=False)
    bounds = np.arange(first, last + 1, dtype=np.int64) * how.period
    values = equity[np.searchsorted(times, bounds, side="right") - 1]
    if not bool(np.all(values > 0)):
        return Returns(how, (), (), broken=True)
    returns = values[1:] / values[:-1] - 1.0
    ends: list[int] = bounds[1:].tolist()
    floats: list[float] = returns.tolist()
    return Returns(how, tuple(ends), tuple(floats), broken=False)


@dataclass(frozen=True, slots=True)
class MonthReturn:
    """The return of one calendar month, UTC, or the part of it within the run.

    Attributes:
        year, month: For example 2024 and 2.
        value: equity at its end / equity at its begin - 1; none where the latter was not above 0.
    """

    year: int
    month: int
    value: float | None


def monthly(times: Times, equity: Floats) -> tuple[MonthReturn, ...]:
    """Return the returns by month; a decision time at 00:00 on the first ends the month before."""
    months = (times - 1).astype("datetime64[ms]").astype("datetime64[M]").astype(np.int64)
    ends = np.append(np.flatnonzero(np.diff(months)), len(months) - 1)
    result = []
    before = float(equity[0])
    for end in ends:
        after = float(equity[end])
        value = after / before - 1.0 if before > 0 else None
        year, month = divmod(int(months[end]), 12)
        result.append(MonthReturn(1970 + year, month + 1, value))
        before = after
    return tuple(result)


def rolling(
    returns: Returns, measure: Callable[[tuple[float, ...]], float | None]
) -> tuple[tuple[int, float | None], ...]:
    """Return a figure over the last `window` returns, at the end of every period that has them."""
    window = returns.sampling.window
    return tuple(
        (returns.times[end - 1], measure(returns.values[end - window : end]))
        for end in range(window, len(returns.values) + 1)
    )
