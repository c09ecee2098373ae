"""Each fault can be ordered, by call and over HTTP, and is seen by a plain client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.market.exchange.playing import (
    BTCUSDT,
    DAY,
    HOUR,
    PATIENCE,
    XRPETH,
    Played,
    call,
    played,
    receive,
    received_so_far,
)

FIRST = 13519807
STREAM = "ws/xrpeth@aggTrade"


async def streamed(p: Played, socket: Any, until: int) -> list[int]:
    """Play on and return the streamed ids, counted from the day's first."""
    p.exchange.play_to(DAY + until)
    return [event["a"] - FIRST for event in await received_so_far(socket)]


async def in_rest(p: Played) -> list[int]:
    return [row["a"] - FIRST for row in await p.get("aggTrades?symbol=XRPETH")]


async def test_cut_leaves_no_close_frame() -> None:
    async with played() as p, p.socket(STREAM) as one, p.socket(STREAM) as other:
        p.exchange.faults.cut(connection=0)
        await asyncio.wait_for(one.wait_closed(), PATIENCE)
        assert one.close_code == 1006
        assert await streamed(p, other, 12_000) == [0, 1]


async def test_close_has_code_and_reason() -> None:
    async with played() as p, p.socket(STREAM) as socket:
        p.exchange.faults.close(1008, "Too many requests")
        await asyncio.wait_for(socket.wait_closed(), PATIENCE)
        assert (socket.close_code, socket.close_reason) == (1008, "Too many requests")


async def test_a_stall_withholds_events_while_pings_and_siblings_go_on() -> None:
    async with played() as p, p.socket(STREAM) as stalled, p.socket(STREAM) as sibling:
        p.exchange.faults.stall(connection=0)
        assert await streamed(p, sibling, 12_000) == [0, 1]
        assert await received_so_far(stalled) == []
        await asyncio.wait_for(await stalled.ping(), PATIENCE)


async def test_skipped_ids_are_in_rest() -> None:
    async with played() as p, p.socket(STREAM) as socket:
        p.exchange.faults.skip("XRPETH", 2)
        assert await streamed(p, socket, 30_000) == [2, 3, 4]
        assert await in_rest(p) == [0, 1, 2, 3, 4]


async def test_lost_ids_are_nowhere() -> None:
    async with played() as p, p.socket(STREAM) as socket:
        p.exchange.faults.lose("XRPETH", 2)
        assert await streamed(p, socket, 30_000) == [2, 3, 4]
        assert await in_rest(p) == [2, 3, 4]


async def test_void_rows_take_ids_in_rest_only() -> None:
    async with played() as p, p.socket(STREAM) as socket:
        assert await streamed(p, socket, 12_000) == [0, 1]
        p.exchange.faults.void("XRPETH", 2)
        assert await streamed(p, socket, 30_000) == [4, 5, 6]
        rows = await p.get(f"aggTrades?symbol=XRPETH&fromId={FIRST}")
        assert [row["a"] - FIRST for row in rows] == list(range(7))
        assert [(row["f"], row["l"], row["p"]) for row in rows[2:4]] == [(-1, -1, "0.00000000")] * 2
        assert [row["f"] - FIRST for row in rows if row["f"] >= 0] == list(range(5))


async def test_duplicates_and_disorder() -> None:
    async with played() as p, p.socket(STREAM) as socket:
        p.exchange.faults.duplicate("XRPETH", 1)
        assert await streamed(p, socket, 12_000) == [0, 0, 1]
        p.exchange.faults.reorder("XRPETH", 3)
        assert await streamed(p, socket, 30_000) == [4, 3, 2]
        assert await streamed(p, socket, 35_000) == [5, 6]


async def test_a_delayed_event_comes_behind_later_ones() -> None:
    async with played() as p, p.socket(STREAM) as socket:
        p.exchange.faults.delay("XRPETH", 1, 0.3)
        assert await streamed(p, socket, 30_000) == [1, 2, 3, 4]
        assert (await receive(socket))["a"] == FIRST


async def test_rest_can_be_behind() -> None:
    async with played() as p:
        p.exchange.play_to(DAY + 30_000)
        p.exchange.faults.rest_behind(3)
        assert await in_rest(p) == [0, 1]
        assert await p.get(f"aggTrades?symbol=XRPETH&fromId={FIRST + 2}") == []
        assert [row["id"] - FIRST for row in await p.get("trades?symbol=XRPETH")] == [0, 1]
        p.exchange.faults.rest_behind(0)
        assert await in_rest(p) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("status", "code", "retry_after"),
    [(429, -1003, "1"), (418, -1003, "120"), (451, 0, None), (503, -1001, None)],
)
async def test_rest_can_fail(status: int, code: int, retry_after: str | None) -> None:
    async with played() as p:
        p.exchange.faults.rest_fail(status, count=2)
        for _ in range(2):
            seen, body, headers = await p.ask("time")
            assert (seen, body["code"], headers.get("Retry-After")) == (status, code, retry_after)
        assert await p.get("time") == {"serverTime": DAY}


async def test_rest_can_fail_with_a_page() -> None:
    async with played() as p:
        p.exchange.faults.rest_fail(403, html=True)
        status, body, headers = await p.ask("time")
        assert status == 403
        assert body.startswith("<html>")
        assert headers["Content-Type"].startswith("text/html")


async def test_error_frames_can_be_nested() -> None:
    async with played() as p, p.socket("ws") as socket:
        p.exchange.faults.nested_errors()
        assert await call(socket, "SUBSCRIBE", "nonsense") == {
            "error": {"code": 2, "msg": "Invalid request: invalid stream"},
            "id": 1,
        }


async def test_a_broken_symbol_is_silent_and_uses_no_ids() -> None:
    async with played() as p, p.socket("ws/xrpeth@aggTrade/xrpeth@kline_1s") as socket:
        p.exchange.play_to(DAY + 12_000)
        await received_so_far(socket)
        p.exchange.faults.set_status("XRPETH", "BREAK")
        p.exchange.play_to(DAY + 30_000)
        assert await received_so_far(socket) == []
        (listed,) = (await p.get("exchangeInfo"))["symbols"]
        assert listed["status"] == "BREAK"
        p.exchange.faults.set_status("XRPETH", "TRADING")
        p.exchange.play_to(DAY + 40_000)
        trades = [e for e in await received_so_far(socket) if e["e"] == "aggTrade"]
        assert [(e["a"] - FIRST, e["f"] - FIRST) for e in trades] == [(2, 2), (3, 3)]
        assert trades[0]["T"] > DAY + 30_000


async def test_exchange_info_can_be_empty() -> None:
    async with played() as p:
        p.exchange.faults.empty_exchange_info()
        assert (await p.get("exchangeInfo"))["symbols"] == []
        p.exchange.faults.empty_exchange_info(on=False)
        assert len((await p.get("exchangeInfo"))["symbols"]) == 1


async def test_garbage_text_comes_on_an_open_connection() -> None:
    async with played() as p, p.socket(STREAM) as socket:
        p.exchange.faults.garbage("text")
        text = await asyncio.wait_for(socket.recv(), PATIENCE)
        with pytest.raises(ValueError, match="delimiter"):
            json.loads(text)
        assert await streamed(p, socket, 12_000) == [0, 1]


async def test_text_that_is_not_utf8() -> None:
    async with played() as p, p.socket(STREAM) as socket:
        p.exchange.faults.garbage("utf8")
        assert b"\xff" in await asyncio.wait_for(socket.recv(decode=False), PATIENCE)


async def test_a_truncated_frame_is_never_finished() -> None:
    async with played() as p, p.socket(STREAM) as socket:
        p.exchange.faults.garbage("truncated")
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), PATIENCE)
        assert socket.close_code == 1006


async def test_server_shutdown_is_followed_by_the_end() -> None:
    async with played() as p, p.socket("ws") as socket:
        p.exchange.faults.server_shutdown(close_after=0.05)
        assert (await receive(socket))["e"] == "serverShutdown"
        await asyncio.wait_for(socket.wait_closed(), PATIENCE)
        assert socket.close_code == 1001


async def test_an_unlisted_symbol_can_not_be_told_to_misbehave() -> None:
    async with played() as p:
        with pytest.raises(KeyError):
            p.exchange.faults.skip("NOSUCH")


async def command(p: Played, name: str, body: str = "{}") -> tuple[int, Any]:
    async with p.session.post(f"{p.exchange.rest_url}/control/{name}", data=body) as answer:
        return answer.status, await answer.json()


async def test_faults_can_be_ordered_over_http() -> None:
    async with played(control=True) as p, p.socket(STREAM) as socket:
        assert await command(p, "skip", '{"symbol":"XRPETH","count":1}') == (200, {"done": "skip"})
        assert await streamed(p, socket, 12_000) == [1]
        assert (await command(p, "rest_fail", '{"status":503,"html":true}'))[0] == 200
        assert (await p.ask("time"))[0] == 503
        assert await command(p, "cut", "") == (200, {"done": "cut"})
        await asyncio.wait_for(socket.wait_closed(), PATIENCE)


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("explode", "{}", "there is no command 'explode'"),
        ("skip", "{}", "missing a required argument"),
        ("skip", '{"symbol":"NOSUCH"}', "NOSUCH"),
        ("skip", '{"symbol":"XRPETH","count":"two"}', "valid integer"),
        ("skip", '{"symbol":"XRPETH","colour":1}', "colour"),
        ("skip", "[1]", "not a JSON object"),
        ("skip", "{", "skip can't be done"),
        ("garbage", '{"kind":"rubbish"}', "truncated"),
        ("cut", '{"connection":7}', "out of range"),
    ],
)
async def test_a_wrong_command_is_refused_with_a_sentence(
    name: str, body: str, reason: str
) -> None:
    async with played(control=True) as p:
        status, answer = await command(p, name, body)
        assert status == 400
        assert reason in answer["error"]


async def test_control_shows_the_state_and_is_off_by_default() -> None:
    async with played(XRPETH, BTCUSDT, control=True) as p, p.socket("ws"):
        async with p.session.get(f"{p.exchange.rest_url}/control") as answer:
            shown = await answer.json()
        assert shown["state"] == {
            "time": DAY, "held": False, "finished": False, "connections": [0],
            "symbols": {"XRPETH": "TRADING", "BTCUSDT": "TRADING"},
        }  # fmt: skip
        assert "rest_behind" in shown["commands"]
    async with played() as p, p.session.post(f"{p.exchange.rest_url}/control/cut") as answer:
        assert answer.status == 404


async def test_the_clock_can_be_held_and_released() -> None:
    async with played(speed=1000, control=True) as p:
        await p.exchange.reached(DAY + 1000)
        assert (await command(p, "hold"))[0] == 200
        before = (await p.get("time"))["serverTime"]
        assert (await p.get("time"))["serverTime"] == before
        assert (await command(p, "release"))[0] == 200
        await asyncio.wait_for(p.exchange.reached(before + HOUR // 60), PATIENCE)
