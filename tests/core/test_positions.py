"""The books, against an independent book of fractions."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.decimals import ZERO
from app.core.events import Fill, Holding
from app.core.performance import performances
from app.core.positions import (
    UnpricedError,
    apply_fills,
    average_cost,
    cash_change,
    closing_part,
    empty_holding,
    equity,
    quantities,
    totals,
)
from tests.core.account_builders import MACD, MOMENTUM, X, Y, fill

CAPITAL = Decimal(10_000)


@dataclass
class Book:
    """What closes and what opens, lot by lot at average cost, in fractions."""

    quantity: Fraction = Fraction(0)
    average: Fraction = Fraction(0)
    realised: Fraction = Fraction(0)

    def trade(self, change: Fraction, price: Fraction) -> None:
        same_way = self.quantity * change >= 0
        if same_way:
            whole = abs(self.quantity) + abs(change)
            self.average = (abs(self.quantity) * self.average + abs(change) * price) / whole
            self.quantity += change
            return
        closed = min(abs(change), abs(self.quantity))
        long = self.quantity > 0
        self.realised += closed * (price - self.average) * (1 if long else -1)
        rest = abs(change) - closed
        self.quantity += change
        if rest:
            self.average = price


@st.composite
def fills(draw: st.DrawFn) -> list[Fill]:
    size = st.integers(-40, 40).filter(bool).map(lambda n: str(Decimal(n) / 1000))
    price = st.integers(1, 10**7).map(lambda n: str(Decimal(n) / 100))
    fee = st.integers(0, 10**6).map(lambda n: str(Decimal(n).scaleb(-8)))
    one = st.builds(
        lambda strategy, instrument, quantity, price, fee: fill(
            strategy, instrument, 1, quantity, price, fee=fee
        ),
        st.sampled_from([MOMENTUM, MACD]),
        st.sampled_from([X, Y]),
        size,
        price,
        fee,
    )
    return draw(st.lists(one, max_size=30))


def book(history: list[Fill]) -> tuple[Decimal, dict[tuple[str, str], Holding]]:
    cash, holdings = CAPITAL, {}
    for each in history:
        pair = (each.strategy, each.instrument)
        holdings[pair] = apply_fills(holdings.get(pair, empty_holding(*pair)), [each])
        cash += cash_change(each)
    return cash, holdings


def held(*changes: tuple[str, str]) -> Holding:
    holding = empty_holding(MOMENTUM, X)
    for quantity, price in changes:
        holding = apply_fills(holding, [fill(MOMENTUM, X, 1, quantity, price, fee="1")])
    return holding


@given(fills())
def test_fills_taken_together_make_what_they_make_one_by_one(history: list[Fill]) -> None:
    _, single = book(history)
    for pair, holding in single.items():
        ours = [each for each in history if (each.strategy, each.instrument) == pair]
        together = apply_fills(empty_holding(*pair), ours)
        assert together == holding
        assert repr(together) == repr(holding)  # to the last zero


@settings(max_examples=150)
@given(fills(), st.integers(1, 10**7), st.integers(1, 10**7))
def test_cash_and_positions_are_capital_and_profit_to_the_last_digit(
    history: list[Fill], first: int, second: int
) -> None:
    prices = {X: Decimal(first) / 100, Y: Decimal(second) / 100}
    cash, holdings = book(history)
    worth = equity(cash, holdings.values(), prices)
    assert worth == CAPITAL + totals(holdings.values(), prices).profit
    spent = sum(
        Fraction(f.price) * Fraction(f.quantity) * (1 if f.side == "buy" else -1) + Fraction(f.fee)
        for f in history
    )
    value = sum(Fraction(h.quantity) * Fraction(prices[h.instrument]) for h in holdings.values())
    assert Fraction(worth) == Fraction(CAPITAL) - spent + value


@settings(max_examples=150)
@given(fills())
def test_every_holding_is_the_independent_book_s(history: list[Fill]) -> None:
    books: dict[tuple[str, str], Book] = {}
    for each in history:
        sign = 1 if each.side == "buy" else -1
        books.setdefault((each.strategy, each.instrument), Book()).trade(
            Fraction(each.quantity) * sign, Fraction(each.price)
        )
    _, holdings = book(history)
    tolerance = Fraction(len(history), 10**12)
    for pair, holding in holdings.items():
        expected = books[pair]
        assert Fraction(holding.quantity) == expected.quantity
        cost = Fraction(holding.cost) - expected.quantity * expected.average
        assert abs(cost) <= tolerance
        assert abs(Fraction(holding.realised) - expected.realised) <= tolerance
        assert bool(holding.quantity) or not holding.cost
        assert (holding.cost > 0) == (holding.quantity > 0)


@given(fills())
def test_the_sum_of_the_strategies_is_the_account(history: list[Fill]) -> None:
    prices = {X: Decimal("123.45"), Y: Decimal("0.01")}
    _, holdings = book(history)
    each = performances((MOMENTUM, MACD), tuple(holdings.values()), prices)
    whole = totals(holdings.values(), prices)
    assert sum(p.profit for p in each) == whole.profit
    assert sum(p.fees for p in each) == whole.fees
    assert [p.strategy for p in each] == [MOMENTUM, MACD]


def test_a_part_that_closes_takes_its_share_of_the_cost() -> None:
    holding = held(("3", "100"), ("-1", "130"))
    assert (holding.quantity, holding.cost, holding.realised) == (2, 200, 30)
    assert holding.fees == 2


def test_what_does_not_divide_is_rounded_half_even_and_never_lost() -> None:
    holding = held(("3", "0.01"), ("4", "0.02"), ("-1", "0.02"))
    assert holding.cost == Decimal("0.11") - Decimal("0.015714285714")
    assert holding.realised == Decimal("0.02") - Decimal("0.015714285714")
    closed = apply_fills(holding, [fill(MOMENTUM, X, 1, "-6", "0.02")])
    assert closed.cost == 0
    assert closed.realised == Decimal("0.03")


def test_a_flip_closes_all_and_opens_the_rest_at_the_fill_s_price() -> None:
    short = held(("2", "100"), ("-5", "90"))
    assert (short.quantity, short.cost, short.realised) == (-3, -270, -20)
    assert average_cost(short) == 90
    long = apply_fills(short, [fill(MOMENTUM, X, 1, "4", "80")])
    assert (long.quantity, long.cost, long.realised) == (1, 80, 10)


def test_a_flat_holding_needs_no_price_and_an_open_one_does() -> None:
    flat = held(("1", "100"), ("-1", "110"))
    assert average_cost(flat) is None
    assert equity(ZERO, [flat], {}) == 0
    with pytest.raises(UnpricedError, match=r"momentum held 1 of BINANCE:BTCUSDT"):
        equity(ZERO, [held(("1", "100"))], {})


def test_more_digits_than_the_default_context_stay_exact() -> None:
    holding = held(("123456789012345.123456789012", "999999999.123456789012"))
    assert Fraction(holding.cost) == Fraction("123456789012345.123456789012") * Fraction(
        "999999999.123456789012"
    )
    negated = closing_part(holding.quantity, holding.quantity.copy_negate() - 1)
    assert negated == holding.quantity.copy_negate()


@pytest.mark.parametrize(
    ("position", "change", "closing"),
    [("2", "1", "0"), ("2", "-1", "-1"), ("2", "-3", "-2"), ("-2", "3", "2"), ("0", "3", "0")],
)
def test_the_closing_part_stops_at_zero(position: str, change: str, closing: str) -> None:
    assert closing_part(Decimal(position), Decimal(change)) == Decimal(closing)


def test_positions_add_up_over_strategies() -> None:
    pairs = [(Y, Decimal(1)), (X, Decimal(2)), (X, Decimal("-0.5"))]
    assert quantities(pairs) == {X: Decimal("1.5"), Y: Decimal(1)}


def test_closing_all_leaves_no_cost_however_small_its_digits() -> None:
    closed = held(("0.00000001", "0.00001"), ("-0.00000001", "0.00003"))
    assert (closed.quantity, closed.cost) == (0, 0)
    assert closed.realised == Decimal("0.0000000000002")
    tiny = held(("0.0000000001", "0.0001"), ("-0.0000000001", "0.0001"))
    assert (tiny.cost, tiny.realised) == (0, 0)
    finest = held(("0.000000001", "0.00001"), ("-0.000000001", "0.00004"))
    assert (finest.cost, finest.realised) == (0, Decimal("0.00000000000003"))
