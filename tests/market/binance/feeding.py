"""A feed at work against the local exchange, and a desk that reads and stores what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from app.core.events import Account, Listing, Record
from app.market.binance.rest import Rest
from app.market.binance.settings import StreamSettings
from app.market.exchange import LocalExchange
from app.market.feed import Feed, FeedSettings
from app.market.state import FeedState
from app.market.tape import TapeSettings
from app.runtime.codec import decode_state, encode_state
from tests.core.builders import account as any_account
from tests.market.binance.fast_time import FastTime
from tests.market.binance.reading import Reader
from tests.market.exchange.playing import PATIENCE

MINUTE = 60_000
XRP, BTC = "BINANCE:XRPETH", "BINANCE:BTCUSDT"
TAPE = TapeSettings(patience=8.0, grace=1_000, probe_pause=0.5)


class PublishError(RuntimeError):
    """The desk was told to fail."""


class Desk:
    """Takes what a feed publishes, as reader and as store.

    Attributes:
        stored: The state of each instrument as text, as a log would hold it.
        published: Every record of each instrument.
        open: Cleared to let the feed wait for the acknowledgement of what it publishes.
        failed: Set when an acknowledgement was lost.
        fail: Says of which records to lose the acknowledgement: they are read, not stored.
    """

    def __init__(self) -> None:
        self.readers: dict[str, Reader] = {}
        self.stored: dict[str, str] = {}
        self.published: dict[str, list[Record]] = {}
        self.fail: Callable[[list[Record]], bool] = lambda _: False
        self.failed = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self._news = asyncio.Event()

    def reader(self, instrument: str = XRP) -> Reader:
        return self.readers.setdefault(instrument, Reader(MINUTE))

    def state(self, instrument: str = XRP) -> FeedState:
        return decode_state(FeedState, self.stored[instrument])

    def states(self) -> dict[str, FeedState]:
        return {instrument: self.state(instrument) for instrument in self.stored}

    async def publish(self, instrument: str, records: list[Record], state: FeedState) -> None:
        await self.open.wait()
        self.reader(instrument).take(records)
        self.published.setdefault(instrument, []).extend(records)
        if self.fail(records):
            self.failed.set()
            raise PublishError
        self.stored[instrument] = encode_state(state)
        self._news.set()

    async def until(self, wanted: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not wanted():
                self._news.clear()
                await self._news.wait()

    async def reached(self, time: int, instrument: str = XRP) -> None:
        """Wait until every candle up to a time is closed."""
        await self.until(lambda: self.reader(instrument).closed >= time)


def account(name: str = "a", quote: str = "ETH", instrument: str = XRP) -> Account:
    return any_account(name, quote=quote, instruments=(instrument,))


def listing(*accounts: Account, numbers: tuple[int, ...] = (), instrument: str = XRP) -> Listing:
    return Listing(instrument, accounts, numbers or (1,) * len(accounts), MINUTE, {})


@asynccontextmanager
async def feeding(
    exchange: LocalExchange,
    desk: Desk,
    *listings: Listing,
    rest_type: type[Rest] = Rest,
    **settings: Any,
) -> AsyncIterator[Feed]:
    """Run a feed; it must end by being closed and not before."""
    defaults: dict[str, Any] = {
        "tape": TAPE,
        "stream": StreamSettings(stale_after=6.0),
        "history_count": 0,
        "status_pause": 1.0,
        "retry_pause": 0.5,
    }
    time = FastTime()
    async with rest_type(exchange.rest_url, time=time) as rest:
        feed = Feed(
            FeedSettings(exchange.ws_url, **defaults | settings),
            rest,
            desk.publish,
            desk.states(),
            time=time,
        )
        for each in listings:
            await feed.add(each)
        task = asyncio.create_task(feed.run())
        try:
            yield feed
            if task.done():
                task.result()
        finally:
            await feed.close()
            await asyncio.wait([task])
        task.result()
