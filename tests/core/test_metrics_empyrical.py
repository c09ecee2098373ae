"""Where definitions agree, the figures are those of empyrical, an independent implementation."""

from __future__ import annotations

from decimal import Decimal

import empyrical
import numpy as np
import pandas as pd
import pytest

from app.core.metrics import AccountSummary, measure
from app.core.metrics.ratios import period_rate
from tests.report.runs import DAY, fed, records, walk

YEAR = 365


def run(seed: int, risk_free: float) -> tuple[AccountSummary, pd.Series]:
    """Return a run of daily decisions, measured, and the returns it is made of."""
    found = measure(fed(records(walk(200, seed), interval=DAY)), risk_free).accounts[0]
    days = pd.to_datetime(found.paths.time, unit="ms")
    return found, pd.Series(found.paths.equity, index=days).pct_change().dropna()


@pytest.mark.parametrize("risk_free", [0.0, 0.04])
@pytest.mark.parametrize("seed", range(6))
def test_ratios_are_those_of_empyrical(seed: int, risk_free: float) -> None:
    found, returns = run(seed, risk_free)
    rate = period_rate(risk_free, YEAR)
    expected = {
        "total_return": empyrical.cum_returns_final(returns),
        "cagr": empyrical.cagr(returns, annualization=YEAR),
        "volatility": empyrical.annual_volatility(returns, annualization=YEAR),
        "sharpe": empyrical.sharpe_ratio(returns, rate, annualization=YEAR),
        "sortino": empyrical.sortino_ratio(returns, rate, annualization=YEAR),
        "calmar": empyrical.calmar_ratio(returns, annualization=YEAR),
        "max_drawdown": -empyrical.max_drawdown(returns),
    }
    for key, value in expected.items():
        assert found.figures[key].value == pytest.approx(float(value), rel=1e-9), key


def test_the_rolling_sharpe_ratio_is_that_of_empyrical() -> None:
    found, returns = run(3, 0.0)
    expected = empyrical.roll_sharpe_ratio(returns, window=30, annualization=YEAR)
    values = [value for _, value in found.rolling]
    assert values == pytest.approx(np.asarray(expected).tolist(), rel=1e-9)


def test_monthly_returns_are_those_of_empyrical() -> None:
    """Moved by a millisecond: a day that ends at midnight is the day before."""
    found, returns = run(4, 0.0)
    days = returns.copy()
    days.index -= pd.Timedelta(milliseconds=1)
    expected = empyrical.aggregate_returns(days, "monthly")
    months = {(each.year, each.month): each.value for each in found.months}
    for (year, month), value in expected.items():
        assert months[year, month] == pytest.approx(float(value), rel=1e-9)
    assert isinstance(found.figures["profit"].value, Decimal)
