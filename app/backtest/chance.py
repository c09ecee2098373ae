"""How many combinations were tried, over how long, enters; what the best shows by chance leaves."""

from __future__ import annotations

import math
from statistics import NormalDist

from app.core.metrics.returns import YEAR

EULER = 0.5772156649015329


def expected_best(count: int, duration: int) -> float | None:
    """Return the Sharpe ratio, a year, that the best of so many shows where none has any skill.

    A Sharpe ratio that is 0 is measured over y years with a standard error of about 1 / sqrt(y);
    source: Lo, The Statistics of Sharpe Ratios, Financial Analysts Journal 58(4), 2002. The largest
    of n such draws is expected at ((1 - g) Z(1 - 1/n) + g Z(1 - 1/(n e))) standard errors, with g
    Euler's constant and Z the normal quantile; source: Bailey and Lopez de Prado, The Deflated
    Sharpe Ratio, Journal of Portfolio Management 40(5), 2014. Combinations that resemble each other
    count for fewer, so it is an upper estimate.

    Args:
        count: How many were tried; none is returned for fewer than two.
        duration: Over how long, milliseconds.
    """
    if count < 2 or duration <= 0:  # noqa: PLR2004 - a best needs two
        return None
    quantile = NormalDist().inv_cdf
    errors = (1 - EULER) * quantile(1 - 1 / count) + EULER * quantile(1 - 1 / (count * math.e))
    return errors / math.sqrt(duration / YEAR)
