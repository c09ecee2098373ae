"""MACD changes its view where TA-Lib's histogram changes its sign."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import talib

from app.core.events import View
from tests.core.strategies.helpers import run


def walk(seed: int, count: int) -> list[float]:
    draw = random.Random(seed)
    closes = [100.0]
    for _ in range(count - 1):
        closes.append(closes[-1] * (1.0 + draw.gauss(0.0, 0.002)))
    return closes


def test_view_is_the_side_of_the_signal_line() -> None:
    closes = walk(3, 2000)
    _, _, histogram = talib.MACD(np.array(closes))
    for advice, bar in zip(run("macd", {}, closes), histogram.tolist(), strict=True):
        if np.isnan(bar):
            assert advice.view is View.NOT_READY
        else:
            assert advice.view is (View.LONG if bar > 0 else View.SHORT)
            assert abs(advice.indicators["histogram"] - bar) < 1e-9


def test_reason_names_a_cross_once() -> None:
    advice = [each for each in run("macd", {}, walk(3, 2000)) if each.view is not View.NOT_READY]
    for before, after in pairwise(advice):
        assert ("crossed" in after.reason) == (before.view is not after.view)
        assert f"(histogram {after.indicators['histogram']:+.6g})" in after.reason


def test_a_line_on_its_signal_has_not_crossed() -> None:
    advice = run("macd", {}, [100.0] * 40)[-1]
    assert (advice.view, advice.indicators["histogram"]) == (View.FLAT, 0.0)
    assert "was on its signal" in advice.reason


def test_waits_for_all_its_bars() -> None:
    advice = run("macd", {"fast": "2", "slow": "4", "signal": "3"}, walk(1, 6))
    assert [each.view for each in advice[:5]] == [View.NOT_READY] * 5
    assert advice[4].reason == "Fewer than the 6 bars needed have been seen."
    assert advice[5].view is not View.NOT_READY
