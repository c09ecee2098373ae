"""Wanted symbols enter; their trades and exchange times leave, whatever becomes of a connection."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from app.market.binance.connection import Connection, Delivery
from app.market.binance.limits import Backoff, Pace
from app.market.binance.settings import StreamSettings, is_loopback
from app.market.timing import SystemTime, TimeSource

log = structlog.get_logger()

MOST_SYMBOLS = 512  # two streams each, of the 1,024 that one connection may carry


class TooManySymbolsError(ValueError):
    """One connection can't carry so many symbols."""


class Stream:
    """Binance's combined stream for many symbols over one connection.

    A lost connection is replaced with growing pauses; one that nears the exchange's 24-hour
    cut, or whose server is about to stop, is replaced before it ends, so that both overlap.

    Args:
        address: For example wss://stream.binance.com:9443.
        settings: Its numbers.
        time: The clock to wait by.
        chance: Numbers from 0 to 1 that keep clients from coming back in step.

    Attributes:
        opened: How many connections have been opened.
        problem: Why there is no connection now; empty when there is one.
    """

    def __init__(
        self,
        address: str,
        settings: StreamSettings | None = None,
        *,
        time: TimeSource | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.address = address.rstrip("/")
        self.opened = 0
        self.problem = ""
        self._settings = settings or StreamSettings()
        self._time = time or SystemTime()
        self._wanted: dict[str, int] = {}
        self._turn = 0
        self._any = asyncio.Event()
        self._live: list[Connection] = []
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue(self._settings.queue)
        self._attempts = Pace(self._settings.attempt_pause, self._time)
        first, most = self._settings.backoff_first, self._settings.backoff_most
        self._backoff = Backoff(first, most, chance)

    async def receive(self) -> Delivery:
        """Return what comes next."""
        return await self._queue.get()

    def subscribe(self, symbol: str) -> None:
        """Want a symbol from now on; raises TooManySymbolsError."""
        if len(self._wanted) >= MOST_SYMBOLS:
            raise TooManySymbolsError(
                f"{symbol} was one instrument more than the {MOST_SYMBOLS} that a connection "
                "can carry; spread the instruments over more workers"
            )
        self._turn += 1
        self._wanted[symbol] = self._turn
        self._changed()

    def unsubscribe(self, symbol: str) -> None:
        """Want a symbol no more."""
        self._wanted.pop(symbol, None)
        self._changed()

    def _changed(self) -> None:
        if self._wanted:
            self._any.set()
        for connection in self._live:
            connection.changed.set()

    async def run(self) -> None:
        """Keep connected until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._any.wait()
                connection = await self._connected()
                if connection is None:
                    continue
                older = list(self._live)
                self._live.append(connection)
                group.create_task(self._serve(connection))
                group.create_task(self._retire(older, connection))
                await connection.replace.wait()
                # Not one event came: to try again at once would be to hammer at a closed door.
                if connection.ended and not connection.newest:
                    await self._failed(connection.ended)

    async def _connected(self) -> Connection | None:
        await self._attempts.turn()
        try:
            socket = await connect(
                f"{self.address}/stream",
                proxy=None if is_loopback(self.address) else True,
                compression=None,
                # The server pings. Pings of our own would spend the message allowance.
                ping_interval=None,
                open_timeout=self._settings.open_timeout,
                close_timeout=self._settings.close_timeout,
            )
        except (OSError, WebSocketException) as error:
            await self._failed(f"{self.address} could not be reached: {error}")
            return None
        self.opened += 1
        return Connection(
            self.opened,
            socket,
            wanted=self._wanted,
            deliver=self._queue.put,
            settings=self._settings,
            time=self._time,
        )

    async def _serve(self, connection: Connection) -> None:
        try:
            await connection.run()
        finally:
            self._live.remove(connection)

    async def _retire(self, older: list[Connection], connection: Connection) -> None:
        await connection.ready.wait()
        if connection.ended:
            return
        self.problem = ""
        self._backoff.reset()
        if older:
            await self._time.sleep(self._settings.overlap)
        for other in older:
            other.finish()

    async def _failed(self, reason: str) -> None:
        self.problem = reason
        pause = self._backoff.pause()
        log.warning("no connection to the exchange", reason=reason, pause=round(pause, 1))
        await self._time.sleep(pause)
