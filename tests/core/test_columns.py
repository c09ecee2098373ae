"""Columns of whole numbers say what the same decimals say, to the last digit."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.candles import fold
from app.core.columns import (
    MOST_UNITS,
    Decimals,
    Integers,
    bounds,
    covers,
    rises,
    sum_of_products,
)
from app.core.decimals import plain as plain_text
from app.core.events import InvalidRecordError, Trades

UNITS = st.integers(0, MOST_UNITS - 1)


def column(units: list[int], places: int) -> Decimals:
    return Decimals(np.array(units, np.int64), places)


@st.composite
def trades(draw: st.DrawFn) -> Trades:
    rows = draw(
        st.lists(st.tuples(UNITS.filter(bool), UNITS, st.booleans()), min_size=1, max_size=40)
    )
    prices, sizes, resting = zip(*rows, strict=True)
    ids = tuple(range(7, 7 + len(rows)))
    return Trades(
        instrument="X:Y",
        id=ids,
        first_id=ids,
        last_id=ids,
        time=ids,
        price=column(list(prices), draw(st.sampled_from([4, 8]))),
        quantity=column(list(sizes), draw(st.sampled_from([4, 8]))),
        buyer_maker=resting,
        age=0,
    )


def plain(record: Trades) -> Trades:
    """Return the same record with its columns as decimals."""
    return dataclasses.replace(record, price=tuple(record.price), quantity=tuple(record.quantity))


@settings(max_examples=100, deadline=None)
@given(trades(), st.data())
def test_a_fold_of_whole_numbers_is_that_of_the_decimals(
    record: Trades, data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(record.id) - 1))
    stop = data.draw(st.integers(start + 1, len(record.id)))
    assert fold(record, start, stop) == fold(plain(record), start, stop)


def test_a_fold_of_the_largest_numbers_is_exact() -> None:
    """More digits than the thread's own context holds: their sum is rounded nowhere."""
    units = [MOST_UNITS - 1] * 39
    ids = tuple(range(1, 40))
    least = column(units, 8)
    record = Trades("X:Y", ids, ids, ids, ids, column(units, 4), least, (False,) * 39, 0)
    whole = fold(record, 0, 39)
    assert whole == fold(plain(record), 0, 39)
    assert Fraction(whole.quote_volume) == Fraction(39 * (MOST_UNITS - 1) ** 2, 10**12)


@settings(max_examples=50, deadline=None)
@given(trades())
def test_a_column_is_equal_to_its_decimals(record: Trades) -> None:
    assert record == plain(record)
    assert plain(record) == record
    assert len(record.price) == len(record.id)
    assert record.price[-1] == tuple(record.price)[-1]
    assert record.price[1:3] == tuple(record.price)[1:3]
    # As it is read from a row that stands alone: no zeros at the end.
    assert all(each.as_tuple() == Decimal(plain_text(each)).as_tuple() for each in record.price)


WHOLE = st.integers(-(2**63), 2**63 - 1)


@settings(max_examples=200, deadline=None)
@given(st.lists(WHOLE, min_size=1, max_size=30) | st.lists(st.integers(0, 3), min_size=1),
       st.data())  # fmt: skip
def test_a_column_of_integers_says_what_their_tuple_says(
    rows: list[int], data: st.DataObject
) -> None:
    column, plainly = Integers(np.array(rows, np.int64)), tuple(rows)
    start = data.draw(st.integers(0, len(rows) - 1))
    stop = data.draw(st.integers(start + 1, len(rows)))
    other = data.draw(st.permutations(rows))
    assert column == plainly
    assert plainly == column
    assert (column == Integers(np.array(other, np.int64))) == (plainly == tuple(other))
    assert [*map(type, column)] == [int] * len(rows) == [type(column[start])] * len(column)
    assert (column[start], column[-1], column[start:stop]) == (
        plainly[start], plainly[-1], plainly[start:stop])  # fmt: skip
    assert rises(column) == rises(plainly)
    assert bounds(column, start, stop) == bounds(plainly, start, stop)
    assert covers(column, Integers(np.array(other, np.int64))) == covers(plainly, tuple(other))


def test_a_column_of_integers_ends() -> None:
    """What looks for a row behind the last one must be told, or it would look for ever."""
    with pytest.raises(IndexError):
        Integers(np.array([1, 2], np.int64))[2]


def test_nothing_overflows_in_the_largest_column() -> None:
    largest = np.full(10_000, MOST_UNITS - 1, np.int64)
    assert sum_of_products(largest, largest) == 10_000 * (MOST_UNITS - 1) ** 2
    assert int(largest.sum()) == 10_000 * (MOST_UNITS - 1)


def test_a_price_of_zero_is_refused() -> None:
    ones = column([1, 1], 4)
    with pytest.raises(InvalidRecordError, match="price"):
        Trades("X:Y", (1, 2), (1, 2), (1, 2), (0, 0), column([1, 0], 4), ones, (True, True), 0)
