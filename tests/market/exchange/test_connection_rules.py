"""Pings, limits and cuts of a connection, each with its number turned down."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import aiohttp
import pytest
from websockets.exceptions import ConnectionClosed

from tests.market.exchange.playing import (
    BTCUSDT,
    DAY,
    HOUR,
    PATIENCE,
    call,
    played,
    received_so_far,
)


async def test_a_server_ping_has_a_payload_and_its_echo_keeps_the_connection() -> None:
    rules: dict[str, Any] = {"ping_interval_seconds": 0.25, "pong_timeout_seconds": 1.5}
    async with played(**rules, messages_per_second=100) as p:
        url = f"{p.exchange.ws_url}/ws"
        async with p.session.ws_connect(url, autoping=False) as socket:
            payloads = []
            for _ in range(8):  # longer than a ping may stay unanswered
                message = await socket.receive(timeout=PATIENCE)
                assert message.type is aiohttp.WSMsgType.PING
                payloads.append(message.data)
                await socket.pong(message.data)
            assert all(payloads)
            assert len(set(payloads)) == len(payloads)


@pytest.mark.parametrize(
    ("answer", "strict", "reason"),
    [
        (None, False, "Pong timeout"),
        (b"", True, "Pong timeout"),
        (b"wrong", True, "Pong payload mismatch"),
    ],
)
async def test_a_ping_without_its_answer_ends_the_connection(
    *,
    answer: bytes | None,
    strict: bool,
    reason: str,
) -> None:
    rules: dict[str, Any] = {"ping_interval_seconds": 0.8, "pong_timeout_seconds": 0.6}
    async with played(**rules, check_pong_payload=strict) as p:
        url = f"{p.exchange.ws_url}/ws"
        async with p.session.ws_connect(url, autoping=False) as socket:
            message = await socket.receive(timeout=PATIENCE)
            assert message.type is aiohttp.WSMsgType.PING
            if answer is not None:
                await socket.pong(answer)
            message = await socket.receive(timeout=PATIENCE)
            assert message.type is aiohttp.WSMsgType.CLOSE
            assert (message.data, message.extra) == (1008, reason)


async def test_a_wrong_payload_is_tolerated_where_the_check_is_off() -> None:
    async with played(ping_interval_seconds=0.4, pong_timeout_seconds=1.0) as p:
        url = f"{p.exchange.ws_url}/ws"
        async with p.session.ws_connect(url, autoping=False) as socket:
            for _ in range(4):
                message = await socket.receive(timeout=PATIENCE)
                assert message.type is aiohttp.WSMsgType.PING
                await socket.pong(b"wrong")


async def test_client_pings_are_answered_with_their_payload() -> None:
    async with played() as p, p.socket("ws") as socket:
        await asyncio.wait_for(await socket.ping(b"hello"), PATIENCE)


@pytest.mark.parametrize("kind", ["json", "ping", "pong"])
async def test_more_than_five_messages_a_second_end_the_connection(kind: str) -> None:
    async with played() as p, p.socket("ws") as socket:
        for n in range(6):
            if kind == "json":
                await socket.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": n}))
            elif kind == "ping":
                await socket.ping(str(n))
            else:
                await socket.pong()
        await socket.wait_closed()
        assert (socket.close_code, socket.close_reason) == (1008, "Too many requests")


async def test_five_messages_a_second_are_served() -> None:
    async with played() as p, p.socket("ws") as socket:
        for _ in range(5):
            assert (await call(socket, "LIST_SUBSCRIPTIONS"))["result"] == []


@pytest.mark.parametrize(("code", "seen"), [(1001, 1001), (None, 1006)])
async def test_a_connection_ends_after_its_lifetime(code: int | None, seen: int) -> None:
    async with (
        played(lifetime_seconds=0.2, lifetime_close_code=code) as p,
        p.socket("ws") as socket,
    ):
        await asyncio.wait_for(socket.wait_closed(), PATIENCE)
        assert socket.close_code == seen


async def test_an_address_opens_only_so_many_connections() -> None:
    async with played(connections_per_window=2) as p:
        url = f"{p.exchange.ws_url}/ws"
        for _ in range(2):
            await (await p.session.ws_connect(url)).close()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await p.session.ws_connect(url)
        assert refused.value.status == 429


async def test_a_client_that_does_not_read_is_dropped_and_others_are_served() -> None:
    stream = "ws/btcusdt@aggTrade/btcusdt@trade"
    async with (
        played(BTCUSDT, queue_frames=2000, messages_per_second=10**6) as p,
        p.socket(stream, max_queue=1) as slow,
        p.socket(stream, max_queue=None) as quick,
    ):
        minute, count = 0, 0
        while p.exchange.connections == 2:  # the kernel's buffers hold some hours
            minute += 1
            p.exchange.play_to(DAY + minute * 60_000)
            count += len(await received_so_far(quick))
        assert count > 2000
        p.exchange.play_to(DAY + minute * 60_000 + HOUR // 60)
        await received_so_far(quick)
        assert p.exchange.connections == 1
        with suppress(ConnectionClosed):
            async for _ in slow:
                count -= 1
        assert slow.close_code == 1006
        assert count > 0


async def test_leaving_closes_every_connection() -> None:
    async with played() as p:
        socket = await p.socket("ws")
    await asyncio.wait_for(socket.wait_closed(), PATIENCE)
    assert socket.close_code == 1001
