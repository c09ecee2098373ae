"""Drawdowns, returns, months, ratios and bars, against plain computations of the same."""

from __future__ import annotations

import math
import statistics
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.events import Candle
from app.core.metrics.drawdowns import curve, worst
from app.core.metrics.prices import MOST_BARS, PriceRecord
from app.core.metrics.ratios import cagr, sharpe, sortino, volatility
from app.core.metrics.returns import DAY, HOUR, Returns, Sampling, monthly, sample
from tests.report.runs import START

DAILY = Sampling("daily at 00:00 UTC", DAY, 30)
EQUITIES = st.lists(st.integers(1, 50).map(float), min_size=1, max_size=40)


def times(count: int, step: int = HOUR) -> np.ndarray:
    return START + step * np.arange(count, dtype=np.int64)


def returns(*values: float) -> Returns:
    return Returns(DAILY, tuple(range(len(values))), values, broken=False)


@given(EQUITIES)
def test_the_deepest_drawdown_is_the_deepest_of_all_pairs(equity: list[float]) -> None:
    falls = [
        (equity[high] - equity[low]) / equity[high]
        for high in range(len(equity))
        for low in range(high, len(equity))
    ]
    found = worst(times(len(equity)), np.array(equity))
    assert math.isclose(found[0].depth if found else 0.0, max(falls))
    assert -curve(np.array(equity)).min() == (found[0].depth if found else 0.0)


@given(EQUITIES)
def test_a_drawdown_lasts_from_its_peak_to_its_recovery(equity: list[float]) -> None:
    found = worst(times(len(equity)), np.array(equity))
    depths = [each.depth for each in found]
    assert depths == sorted(depths, reverse=True)
    assert len(found) <= 5
    for each in found:
        assert 0 < each.depth < 1
        begin, low = (each.start - START) // HOUR, (each.trough - START) // HOUR
        end = len(equity) if each.recovery is None else (each.recovery - START) // HOUR
        assert equity[begin] == max(equity[: low + 1])
        assert all(value < equity[begin] for value in equity[begin + 1 : end])
        assert equity[low] == min(equity[begin:end])
        assert each.recovery is None or equity[end] >= equity[begin]
        last = START + (len(equity) - 1) * HOUR if each.recovery is None else each.recovery
        assert each.length == last - each.start


@given(EQUITIES, st.sampled_from([0.5, 2.0, 1024.0]))
def test_drawdowns_do_not_depend_on_the_currency(equity: list[float], scale: float) -> None:
    first = worst(times(len(equity)), np.array(equity))
    assert first == worst(times(len(equity)), np.array(equity) * scale)


@settings(max_examples=50)
@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=60), st.randoms(use_true_random=False))
def test_ratios_do_not_depend_on_the_order_of_returns(values: list[float], draw: object) -> None:
    mixed = list(values)
    draw.shuffle(mixed)  # type: ignore[attr-defined]
    for measure in (volatility, sharpe, sortino):
        assert measure(returns(*values)) == measure(returns(*mixed))


def test_ratios_by_hand() -> None:
    """Returns 1, -1, 2 %: mean 2/3, deviation 1.5275, downside sqrt(1/3)."""
    found = returns(0.01, -0.01, 0.02)
    mean, deviation = statistics.mean(found.values), statistics.stdev(found.values)
    year = math.sqrt(365)
    assert math.isclose(volatility(found).value or 0, deviation * year)
    assert math.isclose(sharpe(found).value or 0, mean / deviation * year)
    assert math.isclose(sortino(found).value or 0, mean / math.sqrt(1e-4 / 3) * year)


def test_the_risk_free_rate_is_a_years_and_compounds() -> None:
    rate = 1.05 ** (1 / 365) - 1
    assert sharpe(returns(rate, rate + 0.01, rate - 0.01), 0.05).value == pytest.approx(0, abs=1e-9)
    assert sharpe(returns(rate, rate), 0.05).reason == "all returns are the same"


def test_returns_that_differ_by_rounding_have_no_variance() -> None:
    assert sharpe(returns(0.1, 0.1 + 1e-17, 0.30000000000000004 - 0.2)).value is None
    assert sortino(returns(0.1, 0.1, 0.2)).reason == "no return below the risk-free rate"


def test_numbers_beyond_floats_are_not_defined() -> None:
    assert volatility(returns(1e300, -1e300)).reason == "the numbers are too large for it"
    assert cagr(1e-300, 1e300, 30 * DAY).reason == "the numbers are too large for it"


def test_growth_a_year() -> None:
    assert cagr(100.0, 121.0, 2 * 365 * DAY).value == pytest.approx(0.1)
    assert cagr(100.0, 0.0, 60 * DAY).value is None


def test_samples_are_whole_periods_at_midnight() -> None:
    """From 06:00 on the first day to 18:00 on the fourth: two whole days between."""
    at = START + 6 * HOUR + HOUR * np.arange(3 * 24 + 12 + 1, dtype=np.int64)
    equity = np.arange(len(at), dtype=np.float64) + 100
    found = sample(at, equity, DAILY)
    assert found.times == (START + 2 * DAY, START + 3 * DAY)
    assert found.values == (142 / 118 - 1, 166 / 142 - 1)


def test_midnight_on_the_first_ends_the_month_before() -> None:
    first = 1_572_566_400_000  # 2019-11-01T00:00:00Z
    at = np.array([first - DAY, first, first + DAY], dtype=np.int64)
    found = monthly(at, np.array([100.0, 110.0, 121.0]))
    assert [(each.year, each.month) for each in found] == [(2019, 10), (2019, 11)]
    assert [each.value for each in found] == pytest.approx([0.1, 0.1])


def candle(number: int, price: int, *, revision: int = 0, trades: int = 3) -> Candle:
    low, middle, high = Decimal(price), Decimal(price + 1), Decimal(price + 2)
    one = Decimal(1)
    return Candle(
        "BINANCE:BTCUSDT", 60_000, START + 60_000 * (number + 1), middle, high, low, middle,
        one, one, one, trades, 1, trades, complete=number % 7 > 0, age=0, revision=revision,
    )  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=3 * MOST_BARS))
def test_bars_keep_every_extreme(prices: list[int]) -> None:
    record = PriceRecord()
    for number, price in enumerate(prices):
        record.take(candle(number, price))
    bars = record.bars
    assert len(bars) <= MOST_BARS
    assert record.length == 60_000 * 2 ** round(math.log2(record.length / 60_000))
    assert all(bar.time % record.length == 0 for bar in bars)
    for bar in bars:
        inside = [
            price
            for number, price in enumerate(prices)
            if bar.time - record.length < START + 60_000 * (number + 1) <= bar.time
        ]
        assert (bar.open, bar.close) == (inside[0] + 1, inside[-1] + 1)
        assert (bar.high, bar.low) == (max(inside) + 2, min(inside))
    assert record.incomplete == len(range(0, len(prices), 7))


def test_late_trades_are_those_that_revisions_add() -> None:
    record = PriceRecord()
    for number in range(3):
        record.take(candle(number, 100))
    record.take(candle(1, 100, revision=1, trades=5))
    record.take(candle(1, 100, revision=2, trades=6))
    assert (record.candles, record.revised, record.late) == (3, 2, 3)
