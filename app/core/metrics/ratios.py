"""Returns over equal periods enter; volatility and the ratios of reward to risk leave.

Sums are `math.fsum`, which rounds once, so no order of summation and no vector unit of a machine
changes a figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from app.core.metrics.figure import Figure, ratio, undefined
from app.core.metrics.returns import DAILY_FROM, YEAR, Returns

FLAT = 1e-12
"""Deviations below this share of the largest return are the rounding of floats: no variance."""

TOO_FEW = "fewer than two whole periods"
NO_VARIANCE = "all returns are the same"
NO_LOSS = "no return below the risk-free rate"
BROKEN = "the equity was not above zero throughout"
SHORT = "the run is shorter than 30 days"


@dataclass(frozen=True, slots=True)
class Moments:
    """What a row of returns comes to; excess is a return less the risk-free rate of a period.

    Attributes:
        mean: Mean excess.
        deviation: Standard deviation of the sample: divisor n - 1.
        downside: Square root of the mean over all n of min(excess, 0) squared.
    """

    mean: float
    deviation: float
    downside: float


def period_rate(risk_free: float, per_year: float) -> float:
    """Return the rate of a period that compounds to a yearly one: (1 + rate)^(1/n) - 1."""
    return math.expm1(math.log1p(risk_free) / per_year)


def moments(values: Sequence[float], rate: float) -> Moments:
    """Return the moments of at least two returns; raises OverflowError for enormous ones."""
    excess = [value - rate for value in values]
    mean = math.fsum(excess) / len(excess)
    deviation = math.sqrt(math.fsum((each - mean) ** 2 for each in excess) / (len(excess) - 1))
    downside = math.sqrt(math.fsum(min(each, 0.0) ** 2 for each in excess) / len(excess))
    largest = max(map(abs, values))
    return Moments(mean, 0.0 if deviation <= FLAT * largest else deviation, downside)


def volatility(returns: Returns) -> Figure:
    """Return the standard deviation of the returns, a year: deviation * sqrt(periods a year).

    Scaling by the square root of time takes returns for independent.
    """
    if (reason := _unfit(returns)) is not None:
        return undefined(reason)
    scale = math.sqrt(returns.sampling.per_year)
    return ratio(lambda: moments(returns.values, 0.0).deviation * scale)


def sharpe(returns: Returns, risk_free: float = 0.0) -> Figure:
    """Return the Sharpe ratio, a year: mean excess / deviation * sqrt(periods a year).

    Source: Sharpe, The Sharpe Ratio, Journal of Portfolio Management 21(1), 1994.

    Args:
        returns: Of equal periods.
        risk_free: A year's rate, compounded.
    """
    if (reason := _unfit(returns)) is not None:
        return undefined(reason)
    rate = period_rate(risk_free, returns.sampling.per_year)
    value = _sharpe(returns.values, rate, returns.sampling.per_year)
    return undefined(NO_VARIANCE) if value is None else value


def rolling_sharpe(values: Sequence[float], rate: float, per_year: float) -> float | None:
    """Return the Sharpe ratio of some returns; none where it is not defined."""
    found = _sharpe(values, rate, per_year)
    return None if found is None or found.value is None else float(found.value)


def sortino(returns: Returns, risk_free: float = 0.0) -> Figure:
    """Return the Sortino ratio, a year: mean excess / downside deviation * sqrt(periods a year).

    The target is the risk-free rate, and the downside deviation is over all periods, not only
    those that lost. Source: Sortino and Price, Performance Measurement in a Downside Risk
    Framework, Journal of Investing 3(3), 1994.
    """
    if (reason := _unfit(returns)) is not None:
        return undefined(reason)
    rate = period_rate(risk_free, returns.sampling.per_year)
    if min(returns.values) - rate >= -FLAT * max(map(abs, returns.values)):
        return undefined(NO_LOSS)
    scale = math.sqrt(returns.sampling.per_year)

    def compute() -> float:
        found = moments(returns.values, rate)
        return found.mean / found.downside * scale

    return ratio(compute)


def cagr(start: float, end: float, duration: int) -> Figure:
    """Return the compound growth a year: (end / start)^(365 days / duration) - 1.

    Undefined below 30 days: what a few days would come to in a year is not information.

    Args:
        start: Equity at the first decision time.
        end: Equity at the last.
        duration: Milliseconds between them.
    """
    if duration < DAILY_FROM:
        return undefined(SHORT)
    if start <= 0 or end <= 0:
        return undefined(BROKEN)
    return ratio(lambda: (end / start) ** (YEAR / duration) - 1.0)


def calmar(growth: Figure, depth: float) -> Figure:
    """Return the compound growth a year over the maximum drawdown of the whole run.

    Source: Young, Calmar Ratio: A Smoother Tool, Futures, October 1991, there over 36 months.
    """
    if growth.value is None:
        return growth
    if not depth:
        return undefined("the equity never fell")
    value = float(growth.value)
    return ratio(lambda: value / depth)


def _sharpe(values: Sequence[float], rate: float, per_year: float) -> Figure | None:
    try:
        found = moments(values, rate)
    except OverflowError:
        return ratio(lambda: math.inf)
    if not found.deviation:
        return None
    return ratio(lambda: found.mean / found.deviation * math.sqrt(per_year))


def _unfit(returns: Returns) -> str | None:
    if returns.broken:
        return BROKEN
    return TOO_FEW if len(returns.values) < 2 else None  # noqa: PLR2004 - a variance needs two
