"""A number of made-up markets enters; an exchange that counts, accounts, and how far a run is."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from app.core.events import Portfolio
from app.market.exchange import ExchangeSettings, LocalExchange, MarketSource
from app.runtime import topics
from app.runtime.codec import decode
from app.runtime.ports import Place
from app.runtime.sink import SINK_TOPICS
from app.storage.database import Database
from tests.integration.worker import HOUR, Installation

SYMBOLS = tuple(f"{letter * 3}USDT" for letter in "ABCDEFGH")
NAMES = tuple(f"BINANCE:{symbol}" for symbol in SYMBOLS)
ACCOUNTS = ("paper", "shadow")
DERIVED = ("candles", "signals", "portfolio", "allocations", "orders", "risk", "fills")
STILL = 5.0
"""Seconds without a new record after which a pipeline whose input has ended is done."""
NEWEST = 60
"""How many of a partition's newest records are looked at for the newest decision."""


def configuration(momentum: str, macd: str, order: int, slippage: str = "1") -> str:
    """Return an `app.yaml` with two accounts that share some of eight instruments.

    Args:
        momentum: Parameters of the strategy.
        macd: Parameters of the strategy.
        order: The largest notional of an order.
        slippage: Of both accounts, in ticks.
    """
    return f"""
market: {{patience: 10s, history_count: 60}}
kafka: {{session_timeout: 10s}}
accounts:
  paper:
    quote: USDT
    capital: 100000
    instruments: [{", ".join(NAMES[:6])}]
    strategies:
      momentum: {momentum}
      macd: {macd}
    risk: {{order_notional: {order}, position_notional: {order * 2}, gross_notional: 100000,
           daily_loss: 50000, drawdown: 0.9, stale_after: 24h}}
    execution: {{participation: 0.5, slippage: {slippage}}}
  shadow:
    quote: USDT
    capital: 50000
    instruments: [{", ".join(NAMES[4:])}]
    strategies:
      momentum: {momentum}
    risk: {{order_notional: {order}, position_notional: {order * 2}, gross_notional: 40000,
           daily_loss: 25000, drawdown: 0.9, stale_after: 24h}}
    execution: {{participation: 0.5, slippage: {slippage}}}
"""


class StuckError(RuntimeError):
    """What should have come did not, in all the time it was given."""


async def until(
    holds: Callable[[], Awaitable[Any]], what: str, patience: float, pause: float = 0.2
) -> Any:
    """Ask until the answer is true, and return it; raises StuckError."""
    deadline = time.monotonic() + patience
    while not (answer := await holds()):
        if time.monotonic() > deadline:
            raise StuckError(f"{what}: not within {patience:.0f} s")
        await asyncio.sleep(pause)  # between two questions, not for an outcome
    return answer


class Exchange(LocalExchange):
    """The local exchange; it counts what it is asked.

    Attributes:
        asked: Answers by what was asked: a REST path, or `stream` for a connection.
    """

    def __init__(self, settings: ExchangeSettings, markets: Sequence[MarketSource]) -> None:
        self.asked: Counter[str] = Counter()
        super().__init__(settings, markets)

    def _application(self) -> web.Application:
        application = super()._application()
        application.middlewares.append(self._count)
        return application

    @web.middleware
    async def _count(self, request: web.Request, handler: Any) -> web.StreamResponse:
        name = request.match_info.get("name")
        self.asked[name or "stream"] += 1
        response: web.StreamResponse = await handler(request)
        return response


def settings(start: int, speed: float) -> ExchangeSettings:
    """Return an exchange's settings for reconnects that come far more often than a day's."""
    return ExchangeSettings(
        start=start,
        speed=speed,
        wait_for_subscribers=True,
        history_ms=HOUR,
        connections_per_window=3_000,
        weight_per_minute=60_000,
    )


async def decided(installation: Installation) -> int:
    """Return the newest decision time that both accounts have acted on; 0 before there is one."""
    newest = dict.fromkeys(ACCOUNTS, 0)
    for number in range(topics.declared()["portfolio"].partitions):
        place = Place("portfolio", number)
        first, end = await installation.log.bounds(place)
        for stored in await installation.log.read(place, max(first, end - NEWEST)):
            record = decode(stored.value).record
            if isinstance(record, Portfolio):
                newest[record.account] = max(newest[record.account], record.time)
    return min(newest.values())


async def ends(installation: Installation) -> dict[tuple[str, int], int]:
    """Return the end of every partition that the sink stores."""
    return {
        (name, number): (await installation.log.bounds(Place(name, number)))[1]
        for name in SINK_TOPICS
        for number in range(topics.declared()[name].partitions)
    }


async def rests(installation: Installation, patience: float) -> None:
    """Wait until no topic grows any more and the database holds all of it.

    However long it takes, as long as something moves; raises StuckError when nothing does.
    """
    seen: tuple[Any, Any] = ({}, {})
    since = time.monotonic()
    async with Database(installation.settings()) as database:
        while True:
            rows = await database.fetch("SELECT * FROM sink_offsets")
            stored = {(row[0], row[1]): row[2] for row in rows}
            there = await ends(installation)
            if (there, stored) != seen:
                seen, since = (there, stored), time.monotonic()
            still = time.monotonic() - since
            if still > STILL and all(stored.get(place, 0) >= end for place, end in there.items()):
                return
            if still > patience:
                raise StuckError(f"nothing moves for {still:.0f} s, and not all of it is stored")
            await asyncio.sleep(0.5)  # between two looks
