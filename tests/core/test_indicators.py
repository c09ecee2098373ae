"""The averages equal TA-Lib's, bar by bar, from the first value on."""

from __future__ import annotations

import random

import numpy as np
import pytest
import talib
from numpy.typing import NDArray

from app.core.indicators import Ema, Macd, ema_ready, macd_ready, next_ema, next_macd

BARS = 10_000
TOLERANCE = 1e-9


@pytest.fixture(scope="module", params=[1, 2], ids="seed{}".format)
def closes(request: pytest.FixtureRequest) -> NDArray[np.float64]:
    """A random walk around 100."""
    draw = random.Random(request.param)
    price, walk = 100.0, []
    for _ in range(BARS):
        price *= 1.0 + draw.gauss(0.0, 0.002)
        walk.append(price)
    return np.array(walk)


def assert_equal(ours: list[float], theirs: NDArray[np.float64]) -> None:
    np.testing.assert_allclose(np.array(ours), theirs, rtol=0, atol=TOLERANCE, equal_nan=True)


@pytest.mark.parametrize("period", [2, 9, 26, 200])
def test_ema_equals_talib(closes: NDArray[np.float64], period: int) -> None:
    average, ours = Ema(), []
    for price in closes.tolist():
        average = next_ema(average, price, period)
        ours.append(average.value if ema_ready(average, period) else float("nan"))
    assert_equal(ours, talib.EMA(closes, timeperiod=period))


@pytest.mark.parametrize("periods", [(12, 26, 9), (2, 3, 1), (5, 35, 5), (50, 200, 30)])
def test_macd_equals_talib(closes: NDArray[np.float64], periods: tuple[int, int, int]) -> None:
    fast, slow, signal = periods
    macd, rows = Macd(), []
    for price in closes.tolist():
        macd = next_macd(macd, price, fast, slow, signal)
        ready = macd_ready(macd, signal)
        row = (macd.line, macd.signal.value, macd.histogram)
        rows.append(row if ready else (float("nan"),) * 3)
    theirs = talib.MACD(closes, fastperiod=fast, slowperiod=slow, signalperiod=signal)
    for column, expected in zip(zip(*rows, strict=True), theirs, strict=True):
        assert_equal(list(column), expected)


def test_ready_from_the_first_value_on() -> None:
    macd, ready = Macd(), []
    for price in range(1, 40):
        macd = next_macd(macd, float(price), 12, 26, 9)
        ready.append(macd_ready(macd, 9))
    assert ready.index(True) + 1 == 26 + 9 - 1


def test_ema_of_one_price_is_the_price() -> None:
    average = next_ema(next_ema(Ema(), 3.0, 1), 5.0, 1)
    assert (ema_ready(average, 1), average.value) == (True, 5.0)
