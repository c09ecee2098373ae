"""Control messages, their replies and error frames, and the form of each event."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from tests.market.exchange.playing import (
    BTCUSDT,
    DAY,
    XRPETH,
    call,
    played,
    receive,
    received_so_far,
)

FIRST = DAY + 11_620  # two trades share this millisecond


async def test_a_raw_stream_sends_bare_payloads() -> None:
    async with played() as p, p.socket("ws/xrpeth@trade") as socket:
        p.exchange.play_to(FIRST)
        assert await received_so_far(socket) == [
            {"e": "trade", "E": FIRST, "s": "XRPETH", "t": 13519807, "p": "0.00141342",
             "q": "23.00000000", "T": FIRST, "m": True, "M": True},
            {"e": "trade", "E": FIRST, "s": "XRPETH", "t": 13519808, "p": "0.00141266",
             "q": "54.00000000", "T": FIRST, "m": True, "M": True},
        ]  # fmt: skip


async def test_a_combined_stream_wraps_payloads() -> None:
    async with played() as p, p.socket("stream?streams=xrpeth@aggTrade") as socket:
        p.exchange.play_to(FIRST)
        first, _ = await received_so_far(socket)
        assert first == {
            "stream": "xrpeth@aggTrade",
            "data": {"e": "aggTrade", "E": FIRST, "s": "XRPETH", "a": 13519807,
                     "p": "0.00141342", "q": "23.00000000", "f": 13519807, "l": 13519807,
                     "T": FIRST, "m": True, "M": True},
        }  # fmt: skip


async def test_a_kline_event_has_every_field() -> None:
    async with played() as p, p.socket("ws/xrpeth@kline_1m") as socket:
        p.exchange.play_to(DAY + 12_000)
        (event,) = await received_so_far(socket)
        assert event == {
            "e": "kline", "E": DAY + 12_000, "s": "XRPETH",
            "k": {"t": DAY, "T": DAY + 59_999, "s": "XRPETH", "i": "1m", "f": 13519807,
                  "L": 13519808, "o": "0.00141342", "c": "0.00141266", "h": "0.00141342",
                  "l": "0.00141266", "v": "77.00000000", "n": 2, "x": False,
                  "q": "0.10879230", "V": "0.00000000", "Q": "0.00000000", "B": "0"},
        }  # fmt: skip


async def test_microseconds_apply_to_every_time_of_a_connection() -> None:
    path = "stream?streams=xrpeth@aggTrade/xrpeth@kline_1s&timeUnit=MICROSECOND"
    async with played() as p, p.socket(path) as socket:
        p.exchange.play_to(DAY + 12_000)
        first, _, kline = await received_so_far(socket)
        assert (first["data"]["E"], first["data"]["T"]) == (FIRST * 1000,) * 2
        assert kline["data"]["E"] == (DAY + 12_000) * 1000
        assert kline["data"]["k"]["t"] == (DAY + 11_000) * 1000
        assert kline["data"]["k"]["T"] == (DAY + 12_000) * 1000 - 1


async def test_control_requests_are_answered_as_documented() -> None:
    async with played(messages_per_second=100) as p, p.socket("ws") as socket:
        exchanges: list[tuple[dict[str, Any], dict[str, Any]]] = [
            ({"method": "SUBSCRIBE", "params": ["a@aggTrade", "b@kline_1M"], "id": 1},
             {"result": None, "id": 1}),
            ({"method": "UNSUBSCRIBE", "params": ["b@kline_1M", "never@trade"], "id": "x-1"},
             {"result": None, "id": "x-1"}),
            ({"method": "LIST_SUBSCRIPTIONS", "id": None}, {"result": ["a@aggTrade"], "id": None}),
            ({"method": "GET_PROPERTY", "params": ["combined"], "id": -5},
             {"result": False, "id": -5}),
            ({"method": "SET_PROPERTY", "params": ["combined", True], "id": 4},
             {"result": None, "id": 4}),
            ({"method": "GET_PROPERTY", "params": ["combined"], "id": 5},
             {"result": True, "id": 5}),
        ]  # fmt: skip
        for request, answer in exchanges:
            await socket.send(json.dumps(request))
            assert await receive(socket) == answer


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("{", {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 2"}),
        ("no", {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}),
        (
            '{"method":"SUBSCRIBE","params":[]}',
            {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"},
        ),
        (
            '{"method":"SUBSCRIBE","params":[],"id":1.5}',
            {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"},
        ),
        (
            '{"params":[],"id":1}',
            {"code": 2, "msg": "Invalid request: missing field `method` at line 1 column 20",
             "id": 1},
        ),
        (
            '{"method":"FOO","id":1}',
            {"code": 2, "msg": "Invalid request: unknown variant `FOO`, expected one of "
             "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY` "
             "at line 1 column 15", "id": 1},
        ),
        (
            '{"method":"GET_PROPERTY","params":["colour"],"id":1}',
            {"code": 0, "msg": "Unknown property", "id": 1},
        ),
        (
            '{"method":"GET_PROPERTY","params":[7],"id":1}',
            {"code": 2, "msg": "Invalid request: property name must be a string", "id": 1},
        ),
        (
            '{"method":"GET_PROPERTY","params":["combined",true],"id":1}',
            {"code": 2, "msg": "Invalid request: too many parameters", "id": 1},
        ),
        (
            '{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}',
            {"code": 1, "msg": "Invalid value type: expected Boolean", "id": 1},
        ),
        (
            '{"method":"SUBSCRIBE","params":["xrpeth"],"id":1}',
            {"code": 2, "msg": "Invalid request: invalid stream", "id": 1},
        ),
        (
            '{"method":"SUBSCRIBE","params":["a@trade","b@trade","c@trade"],"id":1}',
            {"code": 4, "msg": "Too many subscriptions", "id": 1},
        ),
    ],
)  # fmt: skip
async def test_a_wrong_request_earns_its_error_frame(message: str, error: dict[str, Any]) -> None:
    async with played(streams_per_connection=2) as p, p.socket("ws") as socket:
        await socket.send(message)
        assert await receive(socket) == error
        assert (await call(socket, "LIST_SUBSCRIPTIONS"))["result"] == []


async def test_replies_are_never_wrapped_and_the_property_switches_wrapping() -> None:
    async with played() as p, p.socket("stream?streams=xrpeth@aggTrade") as socket:
        assert await call(socket, "GET_PROPERTY", "combined") == {"result": True, "id": 1}
        await call(socket, "SET_PROPERTY", "combined", False)
        p.exchange.play_to(FIRST)
        assert [event["e"] for event in await received_so_far(socket)] == ["aggTrade"] * 2


async def test_unknown_symbols_and_wrong_case_are_accepted_in_silence() -> None:
    async with played() as p, p.socket("ws") as socket:
        names = ["nosuch@aggTrade", "XRPETH@aggTrade", "xrpeth@depth@100ms"]
        assert await call(socket, "SUBSCRIBE", *names) == {"result": None, "id": 1}
        p.exchange.play_to(DAY + 60_000)
        assert await received_so_far(socket) == []
        assert (await call(socket, "LIST_SUBSCRIPTIONS"))["result"] == names


async def test_a_subscription_ends_with_its_removal() -> None:
    async with played() as p, p.socket("ws/xrpeth@aggTrade/xrpeth@kline_1s") as socket:
        p.exchange.play_to(DAY + 12_000)
        assert len(await received_so_far(socket)) == 3
        await call(socket, "UNSUBSCRIBE", "xrpeth@aggTrade", "xrpeth@kline_1s")
        p.exchange.play_to(DAY + 30_000)
        assert await received_so_far(socket) == []


async def test_a_long_control_message_is_ignored() -> None:
    async with played() as p, p.socket("ws") as socket:
        await call(socket, "SUBSCRIBE", "a@trade")
        await socket.send(json.dumps({"method": "SUBSCRIBE", "params": ["b@trade" * 600], "id": 9}))
        assert await received_so_far(socket) == []


async def test_days_can_begin_at_utc_plus_8() -> None:
    async with played() as p, p.socket("stream?streams=xrpeth@kline_1d@+08:00") as socket:
        p.exchange.play_to(DAY + 12_000)
        (event,) = await received_so_far(socket)
        assert event["stream"] == "xrpeth@kline_1d@+08:00"
        assert event["data"]["k"]["t"] == DAY - 8 * 3_600_000
        assert event["data"]["k"]["i"] == "1d"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("stream?streams=a@trade&timeUnit=HOUR", 400),
        ("stream?streams=a@trade/b@trade/c@trade", 400),
        ("stream?streams=" + "a@trade/" * 100, 414),
    ],
)
async def test_a_wrong_url_is_refused(path: str, status: int) -> None:
    async with played(streams_per_connection=2, url_characters=500) as p:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await p.session.ws_connect(f"{p.exchange.ws_url}/{path}")
        assert refused.value.status == status


async def test_server_shutdown_reaches_everyone_unasked() -> None:
    async with (
        played(XRPETH, BTCUSDT) as p,
        p.socket("ws") as raw,
        p.socket("stream") as combined,
    ):
        p.exchange.faults.server_shutdown()
        event = {"e": "serverShutdown", "E": DAY}
        assert await receive(raw) == event
        assert await receive(combined) == {"stream": "!serverShutdown", "data": event}
