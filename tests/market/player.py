"""Listings enter; an exchange played by hand, with a feed of it that has caught up, leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from app.core.events import Listing
from app.market.exchange import LocalExchange, MarketSource
from app.market.feed import Feed
from tests.market.binance.feeding import MINUTE, Desk, feeding
from tests.market.exchange.playing import DAY, HOUR, played


class Player:
    """Plays the exchange by hand, an hour after the day's start to begin with."""

    def __init__(self, exchange: LocalExchange, desk: Desk) -> None:
        self.exchange = exchange
        self.desk = desk
        self.now = DAY + HOUR
        exchange.play_to(self.now)

    async def go(self, minutes: int) -> None:
        """Let so many minutes pass, in steps that leave the feed time to read."""
        for _ in range(minutes):
            self.now += MINUTE
            self.exchange.play_to(self.now)
            await asyncio.sleep(0.001)

    async def caught_up(self) -> None:
        """Let time pass until everything so far is published and closed."""
        done = asyncio.create_task(self.desk.reached(self.now))
        while not done.done():
            # In steps: what is sent while the feed connects anew is not heard by it.
            self.now += 20_000
            self.exchange.play_to(self.now)
            await asyncio.wait([done], timeout=0.05)
        await done


@asynccontextmanager
async def fed(
    *listings: Listing,
    markets: tuple[MarketSource, ...] = (),
    limits: dict[str, Any] | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[Player, Feed]]:
    """Play an exchange with a feed of its day from the start, an hour of which is published.

    Args:
        listings: What is fed.
        markets: What the exchange trades; XRPETH's recorded day where nothing is said.
        limits: The exchange's settings, where they are not the usual ones.
        settings: The feed's, likewise.
    """
    desk = Desk()
    async with (
        played(*markets, **limits or {}) as play,
        feeding(play.exchange, desk, *listings, **{"start_time": DAY} | settings) as feed,
    ):
        player = Player(play.exchange, desk)
        await player.caught_up()
        yield player, feed
