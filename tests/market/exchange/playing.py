"""Help for the local exchange's tests: one played by hand, and plain clients of both sides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection, connect

from app.market.exchange import (
    DumpMarket,
    ExchangeSettings,
    LocalExchange,
    MarketSource,
    SyntheticMarket,
)

DATA = Path(__file__).parents[2] / "data"
DAY = 1_570_752_000_000  # 2019-10-11
HOUR = 3_600_000
XRPETH = DumpMarket(DATA / "XRPETH-trades-2019-10-11.csv", "XRPETH", "XRP", "ETH")
BTCUSDT = SyntheticMarket("BTCUSDT", "BTC", "USDT", price=Decimal(8500))
BY_HAND: dict[str, Any] = {"speed": 0, "start": DAY, "history_ms": HOUR}
PATIENCE = 60


@dataclass
class Played:
    """An exchange with a REST client; `socket` opens streams."""

    exchange: LocalExchange
    session: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> Any:
        status, body, _ = await self.ask(path, **headers)
        assert status == 200, body
        return body

    async def ask(self, path: str, **headers: str) -> tuple[int, Any, dict[str, str]]:
        url = f"{self.exchange.rest_url}/api/v3/{path}"
        async with self.session.get(url, headers=headers) as answer:
            text = await answer.text()
            body = json.loads(text) if answer.content_type == "application/json" else text
            return answer.status, body, dict(answer.headers)

    def socket(self, path: str, **options: Any) -> connect:
        return connect(f"{self.exchange.ws_url}/{path}", ping_interval=None, **options)


@asynccontextmanager
async def played(*markets: MarketSource, **settings: Any) -> AsyncIterator[Played]:
    """Run an exchange whose clock only `play_to` moves, unless a speed is given."""
    exchange = LocalExchange(ExchangeSettings(**BY_HAND | settings), markets or (XRPETH,))
    async with exchange, aiohttp.ClientSession() as session:
        yield Played(exchange, session)


async def receive(socket: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))


async def call(socket: ClientConnection, method: str, *params: object) -> Any:
    """Send a request and return its reply, which is the next frame."""
    await socket.send(json.dumps({"method": method, "params": params, "id": 1}))
    return await receive(socket)


async def received_so_far(socket: ClientConnection) -> list[Any]:
    """Return the events before the reply to a request sent now: nothing else is under way."""
    await socket.send('{"method":"LIST_SUBSCRIPTIONS","id":"barrier"}')
    events: list[Any] = []
    while True:
        event = await receive(socket)
        if event.get("id") == "barrier":
            return events
        events.append(event)
