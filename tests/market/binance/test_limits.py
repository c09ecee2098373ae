"""Allowances: what was spent is counted, and who must wait waits as long as needed, not longer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.market.binance.limits import Backoff, Pace, WeightBudget
from tests.market.binance.fast_time import SleptTime


async def test_a_spent_minute_is_waited_out() -> None:
    time = SleptTime(wall=60.0 * 1000 + 45)
    budget = WeightBudget(10, time)
    await budget.reserve(6)
    await budget.reserve(4)
    assert time.slept == []
    await budget.reserve(1)
    assert time.slept == [16.0]
    assert budget.used == 1


async def test_what_the_exchange_counted_counts() -> None:
    time = SleptTime(wall=60.0 * 1000)
    budget = WeightBudget(100, time)
    await budget.reserve(4)
    budget.report(98)
    await budget.reserve(4)
    assert time.slept == [61.0]


async def test_one_request_above_the_limit_is_still_made() -> None:
    time = SleptTime(wall=60.0 * 1000)
    await WeightBudget(10, time).reserve(20)
    assert time.slept == []


async def test_a_stop_is_kept_to_its_end() -> None:
    time = SleptTime()
    budget = WeightBudget(10, time)
    budget.block(130.0)
    budget.block(5.0)
    assert budget.blocked
    await budget.reserve(1)
    assert time.slept == [130.0]
    assert not budget.blocked


async def test_turns_keep_their_distance() -> None:
    time = SleptTime()
    pace = Pace(0.25, time)
    for _ in range(4):
        await pace.turn()
    assert time.slept == [0.25, 0.25, 0.25]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_pauses_grow_to_a_most_and_chance_only_shortens(chances: list[float]) -> None:
    draws = iter(chances)
    backoff = Backoff(1.0, 60.0, lambda: next(draws))
    for number, _ in enumerate(chances):
        whole = min(60.0, 2.0**number)
        assert whole / 2 <= backoff.pause() <= whole


def test_success_forgets_failures() -> None:
    backoff = Backoff(1.0, 60.0, lambda: 1.0)
    assert [backoff.pause() for _ in range(3)] == pytest.approx([1, 2, 4])
    backoff.reset()
    assert backoff.pause() == pytest.approx(1)
