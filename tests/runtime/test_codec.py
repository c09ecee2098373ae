"""What the codec writes it reads, and nothing but a valid record ever comes out of it."""

from __future__ import annotations

import dataclasses
import json
import re
import tracemalloc
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core import events
from app.core.columns import Decimals, Integers
from app.core.decimals import plain
from app.core.events import Identity, Message, Record
from app.core.written import Written
from app.runtime import wire_reading, wire_writing
from app.runtime.codec import (
    LARGEST_BYTES,
    DecodeError,
    EncodeError,
    decode,
    decode_state,
    encode,
    encode_state,
    readable,
)
from app.runtime.wire_reading import LONG, MANY
from tests.records import MESSAGES, RECORDS, messages, trades

TYPES = list(RECORDS)

# Values that no field of any record may hold.
ABSURD: list[Any] = [
    "NaN",
    "Infinity",
    "-Infinity",
    "sNaN",
    "1e5",
    "1E+400000000",
    "1e-400000000",
    "0x10",
    "1_000",
    " 1",
    "1,2",
    "٣",
    "9" * 41,
    "0." + "1" * 41,
    "\x00",
    10**30,
    1e308,
    {},
    {"a": []},
    [[]],
    [None],
]


def document(message: Message) -> dict[str, Any]:
    loaded: dict[str, Any] = orjson.loads(encode(message))
    return loaded


def refused(value: Any) -> str:
    with pytest.raises(DecodeError) as caught:
        decode(orjson.dumps(value))
    return str(caught.value)


def read_or_refuse(raw: bytes) -> Message | None:
    """Decode; whatever comes out must survive the way there and back."""
    try:
        message = decode(raw)
    except DecodeError as error:
        if len(str(error)) > 500:
            raise
        return None
    assert decode(encode(message)) == message
    return message


def test_every_type_has_a_strategy() -> None:
    assert set(RECORDS) == set(events.RECORDS.values())
    assert len(RECORDS) >= 20


@pytest.mark.parametrize("cls", TYPES)
def test_a_message_comes_back_equal_and_as_the_same_bytes(cls: type[Record]) -> None:
    @settings(max_examples=40)
    @given(messages(cls))
    def check(message: Message) -> None:
        raw = encode(message)
        again = decode(raw)
        assert again == message
        assert encode(again) == raw
        assert again.name == message.name

    check()


def test_type_stands_first_then_lineage_then_the_fields_in_order() -> None:
    record = events.Resumed("paper", 60_000, 1, "by hand")
    raw = encode(Message(record, Identity("risk", "paper", "paper", 7), "allocation/a/a/6"))
    assert raw == (
        b'{"type":"resumed","id":"risk/paper/paper/7","origin":"allocation/a/a/6",'
        b'"account":"paper","time":60000,"epoch":1,"reason":"by hand"}'
    )


def test_equal_decimals_are_the_same_bytes() -> None:
    def raw(price: str) -> bytes:
        columns = ((1,), (1,), (1,), (5,), (Decimal(price),), (Decimal(2),), (True,))
        return encode(Message(events.Trades("X:Y", *columns, 0)))

    assert raw("100") == raw("100.000") == raw("1E+2")


@pytest.mark.parametrize("cls", TYPES)
def test_a_missing_and_an_extra_field_are_named(cls: type[Record]) -> None:
    @settings(max_examples=10)
    @given(messages(cls), st.data())
    def check(message: Message, data: st.DataObject) -> None:
        whole = document(message)
        field = data.draw(st.sampled_from([item.name for item in dataclasses.fields(cls)]))  # type: ignore[arg-type]
        assert field in refused({name: whole[name] for name in whole if name != field})
        assert "surprise" in refused(whole | {"surprise": 1})

    check()


@pytest.mark.parametrize("cls", TYPES)
def test_absurd_values_are_refused_in_every_field(cls: type[Record]) -> None:
    @settings(max_examples=30)
    @given(messages(cls), st.data())
    def check(message: Message, data: st.DataObject) -> None:
        whole = document(message)
        field = data.draw(st.sampled_from(sorted(whole)))
        value = data.draw(st.sampled_from(ABSURD))
        again = read_or_refuse(json.dumps(whole | {field: value}).encode())
        # A text may be any text, and an object may be empty where a dictionary is due.
        assert again is None or isinstance(value, str | dict)

    check()


def mutated(value: Any, data: st.DataObject) -> Any:
    """Change one thing somewhere in a JSON value."""
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        name = data.draw(st.sampled_from(sorted(value)))
        return value | {name: mutated(value[name], data)}
    if isinstance(value, list) and value and data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(value) - 1))
        return [*value[:place], mutated(value[place], data), *value[place + 1 :]]
    others = st.none() | st.booleans() | st.integers(-(2**63), 2**66) | st.floats()
    return data.draw(others | st.text(max_size=5) | st.sampled_from(ABSURD))


@settings(max_examples=400)
@given(MESSAGES, st.data())
def test_a_mutated_record_is_refused_or_comes_back(message: Message, data: st.DataObject) -> None:
    read_or_refuse(json.dumps(mutated(document(message), data)).encode())


@settings(max_examples=300)
@given(MESSAGES, st.data())
def test_damaged_bytes_are_refused_or_come_back(message: Message, data: st.DataObject) -> None:
    raw = bytearray(encode(message))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse(bytes(raw[: data.draw(st.integers(len(raw) // 2, len(raw)))]))


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(raw)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (None, "JSON object"),
        (b"", "JSON"),
        (b"[]", "JSON object"),
        (b'{"type":[]}', "known type"),
        (b'{"type":"nonsense"}', "known type"),
        (b"[" * 100_000, "JSON"),
        (b'{"type":"clock","instrument":"\\ud800"}', "JSON"),
    ],
)
def test_what_is_no_record_is_refused_with_a_sentence(raw: bytes | None, words: str) -> None:
    with pytest.raises(DecodeError, match=words):
        decode(raw)


def test_ten_megabytes_are_refused_before_they_are_parsed() -> None:
    text = "x" * 10_000_000
    for value in (text, {"type": "clock", "instrument": text}, {"type": text}):
        sentence = refused(value)
        assert str(LARGEST_BYTES) in sentence
        assert len(sentence) < 300


def clock(**changes: Any) -> dict[str, Any]:
    return {
        "type": "clock",
        "instrument": "X:Y",
        "time": 60_000,
        "last_id": 7,
        "age": 0,
    } | changes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"time": True}, "clock.time was True, must be a whole number"),
        ({"time": 1.0}, "clock.time was 1.0, must be a whole number"),
        ({"time": "1"}, "clock.time was '1', must be a whole number"),
        ({"time": None}, "clock.time was None, must be a whole number"),
        ({"time": -1}, "time was '-1', must be milliseconds"),
        ({"instrument": ""}, "instrument was ''"),
        ({"instrument": "é"}, "instrument was 'é'"),
        ({"id": "a/b/c/1", "origin": "o"}, "clock.id was 'a/b/c/1', must be absent"),
    ],
)
def test_the_sentence_names_field_and_value(changes: dict[str, Any], words: str) -> None:
    assert words in refused(clock(**changes))


def test_a_field_that_stands_there_twice_is_refused_wherever_it_is() -> None:
    text = orjson.dumps(clock()).decode()
    assert decode(text.replace('"time"', ' "time"').encode()) == decode(text.encode())
    with pytest.raises(DecodeError, match=r"^last_id was 'there twice', must be there once"):
        decode(text.replace('"age"', '"last_id":7,"age"').encode())
    state = (
        orjson.dumps({"count": 1, "inner": {}}).decode().replace("{}", '{"number":1,"number":1}')
    )
    with pytest.raises(DecodeError, match="number was 'there twice'"):
        decode_state(State, state)


@pytest.mark.parametrize("digits", ["9223372036854775808", "18446744073709551616", "1e2", "-0"])
def test_a_whole_number_has_one_text_and_64_bits(digits: str) -> None:
    text = orjson.dumps(clock()).decode().replace('"last_id":7', f'"last_id":{digits}')
    with pytest.raises(DecodeError, match="must be"):
        decode(text.encode())


def test_a_float_is_no_whole_number_however_large() -> None:
    for digits, fits in (("1e20", True), ("1" + "0" * 20, False), ("1", False)):
        text = f'{{"value":{digits}}}'
        cls = dataclasses.make_dataclass("Single", [("value", float)], frozen=True)
        if fits:
            assert decode_state(cls, text) == cls(1e20)
        else:
            with pytest.raises(DecodeError, match="must be"):
                decode_state(cls, text)


def test_nesting_that_json_can_read_and_not_write_is_refused() -> None:
    with pytest.raises(DecodeError, match="JSON"):
        decode(b'{"type":"clock","instrument":' + b"[" * 400 + b"]" * 400 + b"}")


@pytest.mark.parametrize(
    "origin", ["", " ", "a b", "clock/X\n", "é", "a\x1b[2J", "x" * 501, 5, None]
)
def test_an_origin_is_a_name(origin: Any) -> None:
    message = Message(events.Resumed("a", 0, 1, ""), Identity("s", "a", "a", 1), "clock/X:Y/1")
    assert "origin" in refused(document(message) | {"origin": origin})
    with pytest.raises(EncodeError, match="origin"):
        encode(dataclasses.replace(message, origin=origin))


@pytest.mark.parametrize(
    "price",
    ["0", "-1", "-0", "-0.00", "1" * 17, "1e3", "NaN", "", "1.", ".5", "01", "+1", "1,1", 1, 1.5],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_bad_price_is_refused_wherever_it_stands_in_a_column(price: Any, place: int) -> None:
    prices: list[Any] = ["1.5", "2", "3.25"]
    prices[place] = price
    raw = {
        "type": "trades",
        "instrument": "X:Y",
        "id": [1, 2, 3],
        "first_id": [1, 2, 3],
        "last_id": [1, 2, 3],
        "time": [5, 5, 6],
        "price": prices,
        "quantity": ["1", "1", "1"],
        "buyer_maker": [True, False, True],
        "age": 0,
    }
    assert "price" in refused(raw)
    prices[place] = "1"
    assert decode(orjson.dumps(raw))


def trades_of(prices: list[str]) -> bytes:
    ids = list(range(len(prices)))
    raw = {
        "type": "trades",
        "instrument": "X:Y",
        "id": ids,
        "first_id": ids,
        "last_id": ids,
        "time": ids,
        "price": prices,
        "quantity": ["1.5"] * len(prices),
        "buyer_maker": [True] * len(prices),
        "age": 0,
    }
    return orjson.dumps(raw)


TEXTS = st.builds(
    lambda units, places, zeros: (
        format(Decimal(units).scaleb(-places), "f") + ("0" * zeros if places else "")
    ),
    st.integers(1, 10**15),
    st.integers(0, 12),
    st.integers(0, 2),
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([4, 8, 12]).flatmap(
        lambda places: st.lists(
            st.builds(
                lambda units, zeros: format(Decimal(units).scaleb(-places), "f") + "0" * zeros,
                st.integers(1, 10**14),
                st.integers(0, 2),
            ),
            min_size=MANY,
            max_size=MANY + 3,
        )
    ),
    st.lists(TEXTS, max_size=1),
)
def test_a_column_of_many_rows_is_what_each_row_says(rows: list[str], odd: list[str]) -> None:
    # A number of other places among them, too large or too fine for a double, changes nothing.
    texts = [*rows, *odd]
    message = decode(trades_of(texts))
    assert isinstance(message.record, events.Trades)
    price = message.record.price
    assert tuple(price) == tuple(map(Decimal, texts))
    assert list(map(plain, price)) == [plain(Decimal(text)) for text in texts]
    if isinstance(price, Decimals):
        units = [Decimal(int(one)).scaleb(-price.places) for one in price.units]
        assert units == list(map(Decimal, texts))
    assert decode(encode(message)) == message


def test_usual_prices_are_read_as_whole_numbers() -> None:
    message = decode(trades_of(["9123.45", "9123.4", "0.00012345", "9000"] * MANY))
    assert isinstance(message.record, events.Trades)
    assert isinstance(message.record.price, Decimals)
    assert isinstance(message.record.quantity, Decimals)


@pytest.mark.parametrize(
    "price",
    [
        *("0", "-1", "-0", "-0.00", "1" * 17, "1e3", "NaN", "", "1.", ".5", "01", "+1", "1,1"),
        *(" 1", "0.0000000000001", "1.2.3", "[1]", "true"),
    ],
)
@pytest.mark.parametrize("place", [0, 5, -1])
def test_a_bad_price_is_refused_wherever_it_stands_among_many(price: str, place: int) -> None:
    prices = ["1.5", "2", "3.25"] * MANY
    prices[place] = price
    assert "price" in refused(orjson.loads(trades_of(prices)))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8) | st.integers(LONG - 1, LONG + 1), st.integers(0, 2**53), st.data())
def test_a_column_of_integers_is_what_each_row_says(
    count: int, first: int, data: st.DataObject
) -> None:
    raw = orjson.loads(trades_of(["1.5"] * count))
    raw["id"] = list(range(first, first + count))
    raw["time"] = data.draw(st.lists(st.integers(0, 2**42), min_size=count, max_size=count))
    message = decode(orjson.dumps(raw))
    assert isinstance(message.record, events.Trades)
    for name in ("id", "first_id", "time"):
        column = getattr(message.record, name)
        assert column == tuple(raw[name])
        assert isinstance(column, Integers) == (count >= LONG)
    assert decode(encode(message)) == message
    assert orjson.loads(encode(message))["time"] == raw["time"]


def test_a_long_record_takes_less_memory_than_its_bytes() -> None:
    usual = orjson.loads(trades_of([f"{9000 + each % 100}.{each % 97:02}" for each in range(1000)]))
    for name in ("id", "first_id", "last_id"):
        usual[name] = list(range(10**9, 10**9 + 1000))
    usual["time"] = list(range(1_570_752_000_000, 1_570_752_001_000))
    raw = orjson.dumps(usual)
    decode(raw)  # what is made once is not counted
    tracemalloc.start()
    try:
        message = decode(raw)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert isinstance(message.record, events.Trades)
    assert taken < len(raw)


@pytest.mark.parametrize("bad", [True, 1.0, "1", None, [1], -1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("name", ["id", "first_id", "last_id", "time"])
@pytest.mark.parametrize("place", [0, 5, -1])
def test_a_bad_number_is_refused_wherever_it_stands_among_many(
    bad: object, name: str, place: int
) -> None:
    raw = orjson.loads(trades_of(["1.5"] * LONG))
    raw[name][place] = bad
    assert re.search("id|time", refused(raw))


@pytest.mark.parametrize("place", [1, 5, -1])
def test_ids_among_many_must_rise(place: int) -> None:
    raw = orjson.loads(trades_of(["1.5"] * LONG))
    raw["id"][place] = raw["id"][place - 1]
    assert "ids that rise" in refused(raw)
    raw = orjson.loads(trades_of(["1.5"] * LONG))
    raw["first_id"][place] = raw["last_id"][place] + 1
    assert "at most last_id" in refused(raw)


def test_trades_carry_their_ids_not_an_identity() -> None:
    @settings(max_examples=20)
    @given(trades())
    def check(record: events.Trades) -> None:
        assert document(Message(record))["id"] == list(record.id)

    check()


@pytest.mark.parametrize("cls", TYPES)
def test_lineage_is_where_it_belongs(cls: type[Record]) -> None:
    @settings(max_examples=5)
    @given(RECORDS[cls])
    def check(record: Record) -> None:
        identity = Identity("stage", "a", "b", 1)
        passed_on = cls in (events.Epoch, events.History, events.Join, events.Leave)
        itself = hasattr(cls, "name")
        for message, allowed in (
            (Message(record), itself),
            (Message(record, identity, "origin"), passed_on or not itself),
            (Message(record, identity), False),
            (Message(record, None, "origin"), False),
            (Message(record, identity, ""), False),
        ):
            if allowed:
                assert decode(encode(message)) == message
            else:
                with pytest.raises(EncodeError):
                    encode(message)

    check()


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, slots=True)
class Inner:
    number: Decimal
    colour: Colour


@dataclass(frozen=True, slots=True)
class State:
    count: int
    ratio: float
    text: str
    flag: bool
    money: Decimal
    inner: Inner
    maybe: Inner | None
    many: tuple[Inner, ...]
    pair: tuple[int, Decimal]
    prices: tuple[Decimal, ...]
    written: Written[Decimal]
    some_written: Written[Decimal | None]
    ratios: tuple[float, ...]
    by_name: dict[str, tuple[int, ...]]
    nested: dict[str, Inner]


DECIMALS = st.integers(-(10**40) + 1, 10**40 - 1).map(Decimal)
INNERS = st.builds(Inner, DECIMALS, st.sampled_from(Colour))
INTEGERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=9)
STATES = st.builds(
    State,
    count=INTEGERS,
    ratio=FLOATS,
    text=WORDS,
    flag=st.booleans(),
    money=DECIMALS,
    inner=INNERS,
    maybe=st.none() | INNERS,
    many=st.lists(INNERS, max_size=3).map(tuple),
    pair=st.tuples(INTEGERS, DECIMALS),
    prices=st.lists(DECIMALS, max_size=3).map(tuple),
    written=st.lists(DECIMALS, max_size=3).map(Written),
    some_written=st.lists(st.none() | DECIMALS, max_size=3).map(Written),
    ratios=st.lists(FLOATS, max_size=3).map(tuple),
    by_name=st.dictionaries(WORDS, st.lists(INTEGERS, max_size=3).map(tuple), max_size=3),
    nested=st.dictionaries(WORDS, INNERS, max_size=3),
)


@settings(max_examples=100)
@given(STATES)
def test_a_state_comes_back_equal_and_as_the_same_text(state: State) -> None:
    text = encode_state(state)
    again = decode_state(State, text)
    assert again == state
    assert encode_state(again) == text
    assert type(again.inner.colour) is Colour


@settings(max_examples=200)
@given(STATES, st.data())
def test_a_mutated_state_is_refused_or_comes_back(state: State, data: st.DataObject) -> None:
    value = mutated(orjson.loads(encode_state(state)), data)
    try:
        again = decode_state(State, json.dumps(value))
    except DecodeError:
        return
    assert decode_state(State, encode_state(again)) == again


@dataclass(frozen=True, slots=True)
class Plain:
    some: tuple[Decimal | None, ...]
    every: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True)
class InText:
    some: Written[Decimal | None]
    every: Written[Decimal]


@given(st.lists(st.none() | DECIMALS), st.lists(DECIMALS.map(lambda one: one / 8)))
def test_a_written_column_has_the_form_of_a_tuple(
    some: list[Decimal | None], every: list[Decimal]
) -> None:
    text = encode_state(Plain(tuple(some), tuple(every)))
    state = InText(Written(some), Written(every))
    assert encode_state(state) == text
    assert decode_state(InText, text) == state


@pytest.mark.parametrize("wrong", [None, Decimal("1E+41"), Decimal("1E-41")])
def test_a_written_column_is_refused_for_what_a_tuple_is(wrong: Decimal | None) -> None:
    every: Any = (Decimal(1), wrong)
    for state in (Plain((), every), InText(Written(), Written(every))):
        with pytest.raises(EncodeError, match=r"every\.1"):
            encode_state(state)
    with pytest.raises(DecodeError, match=r"every\.1"):
        decode_state(InText, '{"some":[null],"every":["1",null]}')


@dataclass(frozen=True, slots=True)
class Loose:
    value: Any


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), "\x00", "\ud800"])
def test_what_could_not_be_read_is_not_written(value: Any) -> None:
    cls = dataclasses.make_dataclass("Single", [("value", type(value))], frozen=True)
    with pytest.raises(EncodeError, match="value"):
        encode_state(cls(value))


@pytest.mark.parametrize("value", ["1E+41", "1E-41", "-1E+40", "1E+400000000", "1E-400000000"])
def test_numbers_with_too_many_digits_are_not_written(value: str) -> None:
    with pytest.raises(EncodeError, match="40 digits"):
        encode_state(Inner(Decimal(value), Colour.RED))


def test_zero_is_one_text_whatever_its_exponent() -> None:
    for zero in ("0", "-0", "0E+400000000", "0E-400000000"):
        assert encode_state(Inner(Decimal(zero), Colour.RED)) == '{"number":"0","colour":"red"}'


def test_a_type_without_a_wire_form_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="no wire form"):
        encode_state(Loose(1))


def test_a_state_too_large_is_not_written() -> None:
    cls = dataclasses.make_dataclass("Single", [("value", str)], frozen=True)
    with pytest.raises(EncodeError, match=str(LARGEST_BYTES)):
        encode_state(cls("x" * LARGEST_BYTES))


@given(st.binary(max_size=50))
def test_any_bytes_become_text_that_a_record_may_hold(raw: bytes) -> None:
    cls = dataclasses.make_dataclass("Single", [("value", str)], frozen=True)
    assert decode_state(cls, encode_state(cls(readable(raw)))).value == readable(raw)


@given(messages(events.Epoch))
def test_an_account_that_was_written_before_is_written_the_same(message: Message) -> None:
    epoch = message.record
    assert isinstance(epoch, events.Epoch)
    accounts = [dataclasses.replace(epoch.account, capital=Decimal(each)) for each in range(1, 6)]
    written = [
        dataclasses.replace(message, record=dataclasses.replace(epoch, account=each))
        for each in accounts
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire_writing, "MOST_KEPT", 2)  # some are kept, some are not
        texts = [encode(each) for each in written]
        assert [encode(each) for each in (*written, *written)] == [*texts, *texts]
        patch.setattr(wire_reading, "MOST_KEPT", 2)
        assert [decode(text) for text in (*texts, *texts)] == [*written, *written]


@given(messages(events.Epoch))
def test_what_says_the_same_is_one_account(message: Message) -> None:
    first, again = decode(encode(message)).record, decode(encode(message)).record
    assert isinstance(first, events.Epoch)
    assert isinstance(again, events.Epoch)
    assert first.account is again.account
    raw = orjson.loads(encode(message))
    raw["account"]["capital"] = "-1"
    assert "account" in refused(raw)
    assert "account" in refused(raw)  # what was refused is not kept
