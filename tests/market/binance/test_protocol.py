"""Frames and answers: what the exchange documents is read, anything else is a ProtocolError."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.events import Filters, Trades
from app.market.binance import answers, protocol
from app.market.binance.fields import ProtocolError
from app.market.binance.protocol import (
    AggregateTrade,
    ControlError,
    KlineUpdate,
    Reply,
    ServerShutdown,
    Unknown,
    control_messages,
    parse_frame,
    stream_names,
)
from app.market.dumps import Aggregate

TRADE: dict[str, Any] = {
    "e": "aggTrade", "E": 1781000000007, "s": "BTCUSDT", "a": 9001, "p": "64000.10000000",
    "q": "0.00300000", "f": 501, "l": 503, "T": 1781000000005, "m": True, "M": True,
}  # fmt: skip
KLINE: dict[str, Any] = {
    "e": "kline", "E": 1781000040012, "s": "BTCUSDT",
    "k": {"t": 1780999980000, "T": 1781000039999, "s": "BTCUSDT", "i": "1m", "f": 480, "L": 503,
          "o": "64000", "c": "64000.1", "h": "64010", "l": "63990", "v": "1.25", "n": 24,
          "x": True, "q": "80000.125", "V": "0.6", "Q": "38400.06", "B": "0"},
}  # fmt: skip
AGGREGATE = Aggregate(
    9001, 501, 503, 1781000000005, Decimal("64000.1"), Decimal("0.003"), buyer_maker=True
)
ROW = {name: TRADE[name] for name in "apqflTmM"}
CANDLE = [
    1780999980000, "64000.0", "64010.0", "63990.0", "64000.1", "1.25", 1781000039999,
    "80000.125", 24, "0.6", "38400.06", "0",
]  # fmt: skip
INFO: dict[str, Any] = {
    "timezone": "UTC",
    "serverTime": 1781000000000,
    "rateLimits": [
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300000},
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
    ],
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "status": "TRADING",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "filters": [
                {"filterType": "NOTIONAL", "minNotional": "5.00000000"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001000", "stepSize": "0.00001000"},
                {"filterType": "ICEBERG_PARTS", "limit": 10},
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "tickSize": "0.01000000"},
            ],
        }
    ],
}


def combined(data: object) -> bytes:
    return orjson.dumps({"stream": "btcusdt@aggTrade", "data": data})


@pytest.mark.parametrize("wrap", [orjson.dumps, combined])
def test_events_are_read_raw_and_combined(wrap: Any) -> None:
    assert parse_frame(wrap(TRADE)) == AggregateTrade("BTCUSDT", 1781000000007, AGGREGATE)
    assert parse_frame(wrap(KLINE)) == KlineUpdate("BTCUSDT", 1781000040012, 503)
    shutdown = {"e": "serverShutdown", "E": 1781000000000}
    assert parse_frame(wrap(shutdown)) == ServerShutdown(1781000000000)
    assert parse_frame(wrap({"e": "trade", "t": 1})) == Unknown("trade")
    assert parse_frame(wrap({"u": 1, "b": "1.0"})) == Unknown("")


@pytest.mark.parametrize(
    ("frame", "event"),
    [
        ({"result": None, "id": 1}, Reply(1)),
        ({"result": ["btcusdt@aggTrade"], "id": "abc"}, Reply("abc")),
        ({"code": 2, "msg": "Invalid request", "id": 2}, ControlError(2, "Invalid request", 2)),
        ({"code": 3, "msg": "Invalid JSON"}, ControlError(3, "Invalid JSON", None)),
        (
            {"error": {"code": 4, "msg": "Too many subscriptions"}, "id": 19},
            ControlError(4, "Too many subscriptions", 19),
        ),
    ],
)
def test_replies_and_errors_in_both_shapes(frame: object, event: object) -> None:
    assert parse_frame(orjson.dumps(frame)) == event


def test_a_void_aggregate_keeps_its_id_and_holds_no_trade() -> None:
    void = ROW | {"p": "0", "q": "0", "f": -1, "l": -1}
    (row,) = answers.parse_aggregates(orjson.dumps([void]))
    assert row.void
    assert (row.id, row.price, row.quantity) == (9001, 0, 0)


JUNK = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=12)
    | st.sampled_from(["NaN", "1e5", "-1", "1_0", "", "٣", "9" * 40, "0.0000000000001"])
    | st.lists(st.integers(), max_size=2)
)


def readable(value: object) -> bytes:
    # orjson would refuse to write what a foreign writer may well send.
    return json.dumps(value).encode()


def refused(parse: Callable[[bytes], object], payload: bytes) -> bytes | None:
    """Return the bytes that a ProtocolError named; none where they were read."""
    try:
        parse(payload)
    except ProtocolError as error:
        return error.payload
    return None


@given(st.binary(max_size=60))
def test_any_bytes_are_an_event_or_a_protocol_error(payload: bytes) -> None:
    parsers: tuple[Callable[[bytes], object], ...] = (
        parse_frame, answers.parse_aggregates, answers.parse_klines, answers.parse_server_time,
        lambda body: answers.parse_symbol(body, "BTCUSDT"),
    )  # fmt: skip
    for parse in parsers:
        assert refused(parse, payload) in (None, payload)
    protocol.parse_error(payload)


@given(st.sampled_from([TRADE, KLINE, INFO, ROW]), st.data())
def test_any_damaged_document_is_an_event_or_a_protocol_error(
    document: dict[str, Any], data: st.DataObject
) -> None:
    damaged = orjson.loads(orjson.dumps(document))
    target = damaged
    while True:
        name = data.draw(st.sampled_from(list(target)))
        inner = target[name][0] if isinstance(target[name], list) else target[name]
        if isinstance(inner, dict) and data.draw(st.booleans()):
            target = inner
            continue
        if data.draw(st.booleans()):
            del target[name]
        else:
            target[name] = data.draw(JUNK)
        break
    payload = readable(damaged)
    for parse in (parse_frame, lambda body: answers.parse_symbol(body, "BTCUSDT")):
        assert refused(parse, payload) in (None, payload)
    try:
        rows = answers.parse_aggregates(b"[" + payload + b"]")
    except ProtocolError:
        return
    for row in rows:
        if not row.void:
            columns = ((value,) for value in dataclasses.astuple(row))
            Trades("BINANCE:BTCUSDT", *columns, age=0)  # refuses what no record may hold


@given(st.lists(JUNK, min_size=12, max_size=12), st.integers(0, 11))
def test_damaged_candles_are_refused_or_sane(junk: list[object], place: int) -> None:
    row = [*CANDLE[:place], junk[place], *CANDLE[place + 1 :]]
    try:
        (kline,) = answers.parse_klines(readable([row]))
    except ProtocolError:
        return
    assert min(kline.open, kline.high, kline.low, kline.close) > 0


@pytest.mark.parametrize(
    "change", [{"a": 1.5}, {"a": True}, {"m": 1}, {"l": 500}, {"p": "0"}, {"T": 10**18}, {"q": 1}]
)
def test_what_no_trade_can_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="can't be read"):
        parse_frame(orjson.dumps(TRADE | change))


def test_rows_out_of_order_are_refused() -> None:
    with pytest.raises(ProtocolError, match="ascending"):
        answers.parse_aggregates(orjson.dumps([ROW, ROW]))


def test_candles_are_read() -> None:
    (kline,) = answers.parse_klines(orjson.dumps([CANDLE]))
    assert (kline.open_time, kline.close_time) == (1780999980000, 1781000039999)
    assert (kline.high, kline.volume) == (Decimal(64010), Decimal("1.25"))


def test_filters_are_found_by_type_and_are_optional() -> None:
    info = answers.parse_symbol(orjson.dumps(INFO), "BTCUSDT")
    assert (info.status, info.base, info.quote, info.weight_limit) == (
        "TRADING", "BTC", "USDT", 6000,
    )  # fmt: skip
    assert info.filters == Filters(
        Decimal("0.01"), Decimal("0.00001"), Decimal("0.00001"), Decimal(5)
    )
    bare = INFO | {"rateLimits": [], "symbols": [INFO["symbols"][0] | {"filters": []}]}
    info = answers.parse_symbol(orjson.dumps(bare), "BTCUSDT")
    assert info.filters == Filters(*[Decimal(0)] * 4)
    assert info.weight_limit is None
    older = [{"filterType": "MIN_NOTIONAL", "minNotional": "10.0"}]
    bare["symbols"] = [INFO["symbols"][0] | {"filters": older}]
    assert answers.parse_symbol(orjson.dumps(bare), "BTCUSDT").filters.minimum_notional == 10


def test_an_empty_universe_is_no_answer() -> None:
    with pytest.raises(ProtocolError, match="not among the symbols"):
        answers.parse_symbol(orjson.dumps(INFO | {"symbols": []}), "BTCUSDT")


def test_only_the_exchanges_own_error_is_one() -> None:
    assert protocol.parse_error(b'{"code":-1121,"msg":"Invalid symbol."}') == ControlError(
        -1121, "Invalid symbol.", None
    )
    assert protocol.parse_error(b"<html>blocked</html>") is None


@given(st.lists(st.from_regex(r"[A-Z0-9]{1,50}", fullmatch=True), unique=True, max_size=300))
def test_control_messages_name_every_stream_once_and_stay_small(symbols: list[str]) -> None:
    names = [name for symbol in symbols for name in stream_names(symbol)]
    sent: list[str] = []
    for number, (request, message) in enumerate(control_messages("SUBSCRIBE", names, 7), 7):
        fields = orjson.loads(message)
        assert (request, fields["id"], fields["method"]) == (number, number, "SUBSCRIBE")
        assert 1 <= len(fields["params"]) <= 100
        assert len(message) <= 4096
        sent += fields["params"]
    assert sent == names


def test_stream_names_are_lowercase() -> None:
    assert stream_names("BTCUSDT") == ("btcusdt@aggTrade", "btcusdt@kline_1s")
