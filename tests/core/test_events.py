"""Records refuse what they may not hold, are frozen, and name themselves."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.core import events
from app.core.decimals import EXACT, multiply, total
from app.core.events import Identity, InvalidRecordError, Message, Record
from tests.records import ACCOUNTS, IDENTITIES, MESSAGES, RECORDS, epoch, trades

TYPES = list(RECORDS)
BAD_NUMBERS = [
    Decimal(text)
    for text in ("NaN", "sNaN", "Infinity", "-Infinity", "-1", "1E+37", "1E+400000", "-1E-40")
]


def test_there_are_at_least_twenty_types_with_different_tags() -> None:
    assert len({record.TYPE for record in events.RECORDS.values()}) == len(events.RECORDS) >= 20


@pytest.mark.parametrize("cls", TYPES)
def test_a_record_is_frozen_slotted_and_hashable_by_name(cls: type[Record]) -> None:
    @settings(max_examples=5)
    @given(RECORDS[cls])
    def check(record: Any) -> None:
        first = dataclasses.fields(record)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, first, getattr(record, first))
        assert not hasattr(record, "__dict__")

    check()


def decimal_fields(record: Any) -> list[str]:
    """Return the fields that hold a decimal, alone or in a column."""

    def holds(value: Any) -> bool:
        return isinstance(value, Decimal) or (
            isinstance(value, tuple) and bool(value) and isinstance(value[0], Decimal)
        )

    fields = [field.name for field in dataclasses.fields(record)]
    return [name for name in fields if holds(getattr(record, name))]


@pytest.mark.parametrize("cls", [*TYPES, events.Account, events.Filters])
def test_numbers_out_of_range_are_refused_by_name(cls: Any) -> None:
    kinds = RECORDS | {events.Account: ACCOUNTS, events.Filters: epoch().map(lambda e: e.filters)}

    @settings(max_examples=25)
    @given(kinds[cls], st.data())
    def check(record: Any, data: st.DataObject) -> None:
        names = decimal_fields(record)
        assume(names)
        name = data.draw(st.sampled_from(names))
        bad = data.draw(st.sampled_from(BAD_NUMBERS))
        assume(bad.is_nan() or abs(bad) > 1 or name not in SIGNED)
        old = getattr(record, name)
        with pytest.raises(InvalidRecordError, match="was"):
            dataclasses.replace(record, **{name: bad if isinstance(old, Decimal) else mixed(old)})

    def mixed(old: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
        return (*old[:-1], Decimal("NaN"))

    if any(field.type in {"Decimal", "tuple[Decimal, ...]"} for field in dataclasses.fields(cls)):
        check()


SIGNED = {
    *("cash", "equity", "wanted", "allowed", "day_start", "peak", "drawdown"),
}


@pytest.mark.parametrize("number", [-1, 2**63])
@pytest.mark.parametrize("name", ["time", "last_id", "age"])
def test_whole_numbers_out_of_range_are_refused(name: str, number: int) -> None:
    clock = events.Clock("X:Y", 60_000, 7, 0)
    with pytest.raises(InvalidRecordError, match=name):
        dataclasses.replace(clock, **{name: number})


@pytest.mark.parametrize("interval", [0, -1, 86_400_001])
def test_an_interval_that_would_divide_by_nothing_is_refused(interval: int) -> None:
    with pytest.raises(InvalidRecordError, match="interval"):
        events.Listing("X:Y", (), (), interval, {})


@given(trades())
def test_columns_of_different_length_are_refused(record: events.Trades) -> None:
    for name in ("id", "time", "price", "buyer_maker"):
        with pytest.raises(InvalidRecordError, match="columns of one length"):
            dataclasses.replace(record, **{name: getattr(record, name) * 2})
        with pytest.raises(InvalidRecordError, match="columns of one length"):
            dataclasses.replace(record, **{name: ()})


@given(trades())
def test_ids_that_do_not_rise_are_refused(record: events.Trades) -> None:
    assume(len(record.id) > 1)
    for ids in (record.id[::-1], record.id[:1] * len(record.id)):
        with pytest.raises(InvalidRecordError, match="ids that rise"):
            dataclasses.replace(record, id=ids)


def test_a_trade_covers_raw_trades_in_order() -> None:
    one = Decimal(1)
    with pytest.raises(InvalidRecordError, match="first_id"):
        events.Trades("X:Y", (1,), (5,), (4,), (0,), (one,), (one,), (True,), 0)


@given(trades())
def test_any_trade_that_is_let_in_can_be_computed_with_exactly(record: events.Trades) -> None:
    values = [
        multiply(price, quantity)
        for price, quantity in zip(record.price, record.quantity, strict=True)
    ]
    assert EXACT.subtract(total(values * 1000), total(values * 1000)) == 0


@pytest.mark.parametrize("number", ["1.0000000000001", "0." + "0" * 30 + "1"])
def test_a_trade_with_too_many_places_is_refused(number: str) -> None:
    one = Decimal(1)
    for price, quantity in ((Decimal(number), one), (one, Decimal(number))):
        with pytest.raises(InvalidRecordError, match="12 decimal places"):
            events.Trades("X:Y", (1,), (1,), (1,), (0,), (price,), (quantity,), (True,), 0)


@given(IDENTITIES)
def test_an_identity_is_read_as_it_is_written(identity: Identity) -> None:
    assert Identity.parse(str(identity)) == identity
    assert str(identity).startswith(identity.sender + "/")


@given(st.text("ab/0123456789 ", max_size=30) | st.text(max_size=30))
def test_an_identity_has_one_text(text: str) -> None:
    try:
        identity = Identity.parse(text)
    except InvalidRecordError:
        return
    assert str(identity) == text


@pytest.mark.parametrize(
    "text",
    [
        "a/b/c/0",
        "a/b/c/07",
        "a/b/c/-1",
        "a/b/c/" + "9" * 19,
        "a/b/c/٣",
        "a/b/1",
        "a//c/1",
        "/" * 999,
    ],
)
def test_other_texts_are_no_identity(text: str) -> None:
    with pytest.raises(InvalidRecordError):
        Identity.parse(text)


@settings(max_examples=60)
@given(MESSAGES)
def test_every_message_has_a_name_without_spaces(message: Message) -> None:
    assert message.name
    assert message.name.count(" ") == 0


def test_an_order_has_the_prices_of_its_kind() -> None:
    one = Decimal(1)
    for kind, limit, stop in (
        (events.OrderKind.MARKET, one, None),
        (events.OrderKind.LIMIT, None, None),
        (events.OrderKind.STOP, None, None),
        (events.OrderKind.STOP_LIMIT, one, None),
    ):
        with pytest.raises(InvalidRecordError, match="fit for a"):
            events.Order("o", "momentum", events.Side.BUY, kind, one, limit, stop, "s")


def test_latency_is_shorter_than_the_interval() -> None:
    @settings(max_examples=5)
    @given(epoch())
    def check(record: events.Epoch) -> None:
        with pytest.raises(InvalidRecordError, match="less than the interval"):
            dataclasses.replace(record, interval=record.account.execution.latency)

    check()


@given(ACCOUNTS)
def test_an_account_names_nothing_twice_and_something_once(account: events.Account) -> None:
    for instruments in ((), account.instruments * 2):
        with pytest.raises(InvalidRecordError, match="different names"):
            dataclasses.replace(account, instruments=instruments)
