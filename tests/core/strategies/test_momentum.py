"""Momentum opens beyond the entry and holds until the exit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.events import View
from tests.core.strategies.helpers import run

VALUES = {"lookback": "2", "entry": "0.1", "exit": "0.02"}


def views(closes: list[float]) -> list[View]:
    return [advice.view for advice in run("momentum", VALUES, closes)]


def test_not_ready_until_the_lookback_is_known() -> None:
    first, second, third = run("momentum", VALUES, [100.0, 100.0, 100.0])
    assert [first.view, second.view, third.view] == [View.NOT_READY, View.NOT_READY, View.FLAT]
    assert second.reason == "2 of the 3 bars needed have been seen."


@pytest.mark.parametrize(
    ("closes", "expected"),
    [
        # return of the last bar over two: 5 %, inside the entry
        ([100, 100, 105], [View.FLAT]),
        ([100, 100, 111], [View.LONG]),
        ([100, 100, 89], [View.SHORT]),
        # long at 11 %, held at 5 % (100 → 105), ended at 0.9 % (111 → 112)
        ([100, 100, 111, 105, 112], [View.LONG, View.LONG, View.FLAT]),
        # short at -11 %, held at -5 %, ended at +1 %
        ([100, 100, 89, 95, 90], [View.SHORT, View.SHORT, View.FLAT]),
        # from long to short at once
        ([100, 100, 111, 80], [View.LONG, View.SHORT]),
    ],
)
def test_opens_at_entry_and_ends_at_exit(closes: list[float], expected: list[View]) -> None:
    assert views(closes)[2:] == expected


def test_reason_and_indicators_have_the_numbers() -> None:
    advice = run("momentum", VALUES, [100.0, 100.0, 111.0])[-1]
    assert advice.indicators == {"return": 111.0 / 100.0 - 1.0}
    assert advice.reason == (
        "The return over 2 bars was +11.0000%, so the view is long (opens beyond 10.0000%, ends "
        "within 2.0000%)."
    )


def holds(returns: list[float], sign: int) -> bool:
    """Return whether a return beyond the entry was followed only by ones beyond the exit."""
    opened = [index for index, change in enumerate(returns) if sign * change > 0.1]
    return bool(opened) and all(sign * change >= 0.02 for change in returns[opened[-1] :])


@given(st.lists(st.floats(50, 200), min_size=3, max_size=30))
def test_the_view_follows_from_all_returns_so_far(closes: list[float]) -> None:
    returns = [later / close - 1.0 for close, later in zip(closes, closes[2:], strict=False)]
    for count, view in enumerate(views(closes)[2:], 1):
        assert (view is View.LONG) == holds(returns[:count], 1)
        assert (view is View.SHORT) == holds(returns[:count], -1)
