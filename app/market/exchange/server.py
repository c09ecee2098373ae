"""Settings and markets come in; Binance's spot market-data protocol goes out on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Self

from aiohttp import web

from app.errors import ConfigurationError, LockstepError
from app.market.exchange.clock import ExchangeClock
from app.market.exchange.connection import Connection, ConnectionContext, stream_names
from app.market.exchange.control import Command, Control
from app.market.exchange.endpoints import Endpoints
from app.market.exchange.faults import GOING_AWAY, Faults
from app.market.exchange.hub import Hub
from app.market.exchange.intervals import MINUTE
from app.market.exchange.limits import Limits
from app.market.exchange.market import DumpMarket, MarketSource, open_market
from app.market.exchange.rest import Rest
from app.market.exchange.settings import ExchangeSettings
from app.times import format_time

_FAULTS = (
    *("cut", "close", "stall", "garbage", "server_shutdown"),
    *("skip", "lose", "void", "duplicate", "reorder", "delay"),
    *("rest_behind", "rest_fail", "nested_errors", "set_status", "empty_exchange_info"),
)


class LocalExchange:
    """An exchange that a client can't tell from Binance, in the caller's event loop.

    Use it as `async with LocalExchange(settings, markets) as exchange:`; trades flow from then on.

    Args:
        settings: every number, with Binance's values by default.
        markets: dumps and synthetic markets, all on one clock.

    Attributes:
        clock: the exchange's time.
        faults: makes it misbehave.

    Raises:
        ConfigurationError: no market, a symbol twice, or an end before the start.
        DumpError: a file is not a dump.
        OSError: a file can't be read or, on entering, the port can't be had.
    """

    def __init__(self, settings: ExchangeSettings, markets: Sequence[MarketSource]) -> None:
        start = _start(settings, markets)
        self.clock = ExchangeClock(start, settings.speed, settings.until)
        self._settings = settings
        opened = [
            open_market(market, start, settings.history_ms, settings.keep_aggregates)
            for market in markets
        ]
        self._hub = Hub(opened, start, settings.kline_gap_seconds)
        self._context = ConnectionContext(settings, self._hub, self._catch_up)
        self._connections: dict[Connection, None] = {}
        self._limits = Limits(settings)
        endpoints = Endpoints(settings, self.clock, self._hub.markets)
        self._rest = Rest(
            endpoints, self._limits, self.clock, self._catch_up, settings.weight_per_minute
        )
        self.faults = Faults(self._context, self._connections, self._rest, endpoints, self.clock)
        self._failure: LockstepError | None = None
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._awaits_subscribers = settings.wait_for_subscribers
        self._runner = web.AppRunner(
            self._application(), access_log=None, shutdown_timeout=settings.close_timeout_seconds
        )
        self._ticker: asyncio.Task[None] | None = None
        self._port = settings.port

    @property
    def rest_url(self) -> str:
        """The base of REST paths, such as `http://127.0.0.1:8123`."""
        return f"http://{self._settings.host}:{self._port}"

    @property
    def ws_url(self) -> str:
        """The base of stream paths, such as `ws://127.0.0.1:8123`."""
        return f"ws://{self._settings.host}:{self._port}"

    @property
    def symbols(self) -> list[str]:
        """The listed symbols."""
        return list(self._hub.markets)

    @property
    def connections(self) -> int:
        """How many stream connections are open."""
        return len(self._connections)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._settings.host, self._settings.port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._port = self._runner.addresses[0][1]
        if self._awaits_subscribers:
            self.clock.hold()
        self._ticker = asyncio.get_running_loop().create_task(self._tick())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(self._ticker, return_exceptions=True)
        connections = list(self._connections)
        for connection in connections:
            connection.close(GOING_AWAY)
        await asyncio.gather(*(connection.closed() for connection in connections))
        await self._runner.cleanup()

    def advance(self) -> int:
        """Bring exchange time up to date, send what has become due, and return the time.

        Raises:
            DumpError: a dump turned out to be damaged, now or before.
        """
        if self._awaits_subscribers and self._hub.watched:
            self._awaits_subscribers = False
            self.clock.release()
        return self._send_until(self.clock.advance(), force=self.clock.finished)

    def play_to(self, moment: int) -> int:
        """Jump forward to an exchange time, and send all that is due by then.

        For tests, with a speed of 0: nothing else moves the clock then.

        Args:
            moment: milliseconds UTC since the epoch.
        """
        return self._send_until(self.clock.move_to(moment), force=True)

    async def reached(self, moment: int) -> None:
        """Wait until the exchange time is at least this, in milliseconds UTC since the epoch."""
        if self.clock.now < moment:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append((moment, waiter))
            await waiter

    async def finished(self) -> None:
        """Wait until the clock has stopped at its end; forever if it has none.

        Raises:
            DumpError: a dump turned out to be damaged while it was played.
        """
        if self._ticker is not None:
            await asyncio.shield(self._ticker)

    def _send_until(self, now: int, *, force: bool) -> int:
        if self._failure is not None:
            raise self._failure
        if now > self._hub.now:
            self._send(now, force=force)
        for waiter in [waiter for waiter in self._waiters if waiter[0] <= now]:
            self._waiters.remove(waiter)
            if not waiter[1].done():
                waiter[1].set_result(None)
        return now

    def _send(self, now: int, *, force: bool) -> None:
        try:
            self._hub.advance(now, force=force)
        except LockstepError as error:  # its market is dead: whoever plays on must hear of it
            self._failure = error
            raise

    def _catch_up(self) -> None:
        """Advance for a client, who can't help what `finished` reports."""
        with suppress(LockstepError):
            self.advance()

    async def _tick(self) -> None:
        while not self.clock.finished:
            self.advance()
            await asyncio.sleep(self._settings.tick_seconds)

    def _application(self) -> web.Application:
        application = web.Application()
        add = application.router.add_get
        add("/ws", partial(self._stream, combined=False))
        add("/ws/{streams:.*}", partial(self._stream, combined=False))
        add("/stream", partial(self._stream, combined=True))
        add("/api/v3/{name}", self._rest.handle)
        if self._settings.control:
            control = Control(self._commands(), self._state)
            add("/control", control.show)
            application.router.add_post("/control/{command}", control.command)
        return application

    async def _stream(self, request: web.Request, *, combined: bool) -> web.StreamResponse:
        if not self._limits.connection(request.remote or ""):
            raise web.HTTPTooManyRequests
        names = stream_names(request, self._settings)
        connection = Connection(self._context, request, combined=combined)
        self._connections[connection] = None
        try:
            return await connection.run(names)
        finally:
            del self._connections[connection]

    def _commands(self) -> dict[str, Command]:
        faults: dict[str, Command] = {name: getattr(self.faults, name) for name in _FAULTS}
        return faults | {"hold": self.clock.hold, "release": self.clock.release}

    def _state(self) -> dict[str, object]:
        return {
            "time": self.advance(),
            "held": self.clock.held,
            "finished": self.clock.finished,
            "symbols": {market.symbol: market.status for market in self._hub.markets.values()},
            "connections": [connection.waiting_frames for connection in self._connections],
        }


def _start(settings: ExchangeSettings, markets: Sequence[MarketSource]) -> int:
    """Return the exchange time to begin at, having checked what is wanted."""
    symbols = [market.symbol for market in markets]
    if not symbols or len(set(symbols)) < len(symbols):
        raise ConfigurationError(
            f"the markets were {symbols}; give at least one, and no symbol twice"
        )
    firsts = [market.first_time() for market in markets if isinstance(market, DumpMarket)]
    first = min(firsts) // MINUTE * MINUTE if firsts else time.time_ns() // 1_000_000
    start = first if settings.start is None else settings.start
    if settings.until is not None and settings.until <= start:
        raise ConfigurationError(
            f"the end, {format_time(settings.until)}, was not after the start, "
            f"{format_time(start)}; move one"
        )
    return start
