"""The stream against the local exchange: whatever becomes of a connection, events go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from app.market.binance.connection import Delivery, Lost, Subscribed, Told
from app.market.binance.protocol import AggregateTrade
from app.market.binance.settings import StreamSettings
from app.market.binance.stream import MOST_SYMBOLS, Stream, TooManySymbolsError
from app.market.exchange import LocalExchange
from tests.market.binance.fast_time import FastTime
from tests.market.exchange.playing import BTCUSDT, DAY, PATIENCE, XRPETH, played
from tests.ports import LOOPBACK, free_port

MINUTE = 60_000


class Listener:
    """A running stream and what it has delivered."""

    def __init__(self, exchange: LocalExchange, stream: Stream) -> None:
        self.exchange = exchange
        self.stream = stream
        self.heard: list[Delivery] = []
        self.played = DAY

    async def until(self, kind: type[Delivery], number: int = 1) -> Any:
        """Return the n-th delivery of a kind."""
        return await self.where(lambda item: isinstance(item, kind), number)

    async def where(self, wanted: Callable[[Delivery], bool], number: int = 1) -> Any:
        async with asyncio.timeout(PATIENCE):
            while len(found := [item for item in self.heard if wanted(item)]) < number:
                self.heard.append(await self.stream.receive())
        return found[number - 1]

    async def trades(self) -> list[int]:
        """Let two minutes pass and return the ids told meanwhile, by the newest connection."""
        self.heard.clear()
        self.played += 2 * MINUTE
        self.exchange.play_to(self.played)
        connection = self.stream.opened
        moment = self.played
        await self.where(
            lambda item: (
                isinstance(item, Told) and item.newest >= moment and item.connection == connection
            )
        )
        return [
            item.event.aggregate.id
            for item in self.heard
            if isinstance(item, Told)
            and item.connection == connection
            and isinstance(item.event, AggregateTrade)
        ]


@asynccontextmanager
async def listening(
    *markets: Any, stream: StreamSettings | None = None, symbols: tuple[str, ...] = ("XRPETH",),
    **settings: Any,
) -> AsyncIterator[Listener]:  # fmt: skip
    async with played(*markets or (XRPETH,), **settings) as play:
        listener = Listener(play.exchange, Stream(play.exchange.ws_url, stream, time=FastTime()))
        for symbol in symbols:
            listener.stream.subscribe(symbol)
        task = asyncio.create_task(listener.stream.run())
        try:
            yield listener
            assert not task.done(), task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_many_symbols_share_a_connection() -> None:
    async with listening(XRPETH, BTCUSDT, symbols=("XRPETH", "BTCUSDT")) as listener:
        assert await listener.until(Subscribed, 1) == Subscribed(1, "XRPETH")
        assert await listener.until(Subscribed, 2) == Subscribed(1, "BTCUSDT")
        ids = await listener.trades()
        told = [item for item in listener.heard if isinstance(item, Told)]
        assert {item.event.symbol for item in told} == {"XRPETH", "BTCUSDT"}
        assert ids
        assert listener.exchange.connections == 1
        newest = [item.newest for item in told]
        assert newest == sorted(newest)


async def test_symbols_come_and_go_while_connected() -> None:
    async with listening(XRPETH, BTCUSDT) as listener:
        await listener.until(Subscribed)
        listener.stream.subscribe("BTCUSDT")
        assert await listener.until(Subscribed, 2) == Subscribed(1, "BTCUSDT")
        listener.stream.unsubscribe("XRPETH")
        listener.stream.subscribe("XRPETH")
        assert await listener.until(Subscribed, 3) == Subscribed(1, "XRPETH")


def test_more_symbols_than_a_connection_carries_are_refused() -> None:
    stream = Stream("ws://127.0.0.1:9")
    for number in range(MOST_SYMBOLS):
        stream.subscribe(f"S{number}")
    with pytest.raises(TooManySymbolsError, match="spread the instruments"):
        stream.subscribe("ONEMORE")


@pytest.mark.parametrize(
    "fault",
    [
        lambda faults: faults.cut(),
        lambda faults: faults.close(1008, "Pong timeout"),
        lambda faults: faults.garbage("truncated"),
        lambda faults: faults.stall(),
    ],
    ids=["cut", "close", "truncated", "stall"],
)
async def test_a_lost_connection_is_replaced(fault: Callable[[Any], None]) -> None:
    async with listening() as listener:
        await listener.until(Subscribed)
        assert await listener.trades()
        fault(listener.exchange.faults)
        lost = await listener.until(Lost)
        assert (lost.connection, bool(lost.reason)) == (1, True)
        assert await listener.until(Subscribed) == Subscribed(2, "XRPETH")
        assert await listener.trades()


@pytest.mark.parametrize("kind", ["text", "utf8"])
async def test_garbage_is_skipped(kind: Any) -> None:
    async with listening() as listener:
        await listener.until(Subscribed)
        listener.exchange.faults.garbage(kind)
        assert await listener.trades()
        assert listener.stream.opened == 1


async def test_a_server_that_stops_is_left_before_it_ends() -> None:
    async with listening() as listener:
        await listener.until(Subscribed)
        listener.exchange.faults.server_shutdown()
        await listener.until(Subscribed, 2)
        listener.exchange.play_to(DAY + 2 * MINUTE)
        for connection in (1, 2):
            await listener.where(partial(told_by, connection))
        assert not [item for item in listener.heard if isinstance(item, Lost)]
        lost = await listener.until(Lost)
        assert lost == Lost(1, "a newer connection took over")


def told_by(connection: int, item: Delivery) -> bool:
    return isinstance(item, Told) and item.connection == connection


async def test_a_connection_is_replaced_before_its_day_is_over() -> None:
    quick = StreamSettings(rotate_after=4.0, overlap=2.0)
    async with listening(stream=quick) as listener:
        second = await listener.until(Subscribed, 2)
        assert second == Subscribed(2, "XRPETH")
        assert not [item for item in listener.heard if isinstance(item, Lost)]
        assert await listener.until(Lost) == Lost(1, "a newer connection took over")


@pytest.mark.parametrize("nested", [False, True])
async def test_a_refused_subscription_is_tried_anew(nested: bool) -> None:  # noqa: FBT001
    async with listening(streams_per_connection=1) as listener:
        listener.exchange.faults.nested_errors(on=nested)
        lost = await listener.until(Lost)
        assert lost.reason.startswith("SUBSCRIBE failed: ")
        assert (await listener.until(Lost, 2)).connection == 2


async def test_the_servers_pings_are_answered() -> None:
    pings: dict[str, Any] = {
        "speed": 1.0, "ping_interval_seconds": 0.05, "pong_timeout_seconds": 0.45,
        "check_pong_payload": True, "messages_per_second": 30,
    }  # fmt: skip
    async with listening(**pings) as listener:
        await listener.until(Subscribed)
        await listener.exchange.reached(DAY + 700)
        assert (listener.exchange.connections, listener.stream.opened) == (1, 1)


class WaitedTime(FastTime):
    """Tells when somebody waits."""

    def __init__(self) -> None:
        self.waited = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.waited.set()
        await super().sleep(seconds)


async def test_an_exchange_that_is_not_there_is_tried_again() -> None:
    port = free_port()
    time = WaitedTime()
    stream = Stream(f"ws://{LOOPBACK}:{port}", time=time)
    stream.subscribe("XRPETH")
    task = asyncio.create_task(stream.run())
    try:
        await asyncio.wait_for(time.waited.wait(), PATIENCE)
        assert "could not be reached" in stream.problem
        async with played(port=port):
            told = await asyncio.wait_for(stream.receive(), PATIENCE)
            assert told == Subscribed(1, "XRPETH")
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
