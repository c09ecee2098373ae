"""One WebSocket to Binance: wanted symbols enter, what the exchange says of them leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from app.market.binance.fields import ProtocolError
from app.market.binance.limits import Pace
from app.market.binance.protocol import (
    AggregateTrade,
    ControlError,
    Event,
    KlineUpdate,
    Reply,
    ServerShutdown,
    control_messages,
    parse_frame,
    stream_names,
)
from app.market.binance.settings import StreamSettings
from app.market.timing import TimeSource

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The exchange has accepted a symbol's streams on a connection."""

    connection: int
    symbol: str


@dataclass(frozen=True, slots=True)
class Told:
    """An event of a symbol.

    Attributes:
        connection: Which connection carried it; they count up from 1.
        event: What was told.
        newest: The newest exchange time the connection has carried, milliseconds.
    """

    connection: int
    event: AggregateTrade | KlineUpdate
    newest: int


@dataclass(frozen=True, slots=True)
class Lost:
    """A connection carries nothing any more."""

    connection: int
    reason: str


Delivery = Subscribed | Told | Lost


class Connection:
    """An open socket and what it is subscribed to.

    Args:
        number: Its number among the connections of its stream.
        socket: Open, and from now on this object's.
        wanted: The symbols to carry, a live view; the value changes when one is wanted anew.
        deliver: Takes what happens; while it waits, nothing is read.
        settings: Its numbers.
        time: The clock to wait by.

    Attributes:
        number: Its number among the connections of its stream.
        newest: The newest exchange time it has carried, milliseconds; 0 before any.
        replace: Set when a successor is due: it ended, is old, or the server said good-bye.
        ready: Set when it carries every wanted symbol, or has ended.
        ended: Why it ended; empty while it is open.
        changed: To be set when the wanted symbols change.
    """

    def __init__(
        self,
        number: int,
        socket: ClientConnection,
        *,
        wanted: Mapping[str, int],
        deliver: Callable[[Delivery], Awaitable[None]],
        settings: StreamSettings,
        time: TimeSource,
    ) -> None:
        self.number = number
        self.newest = 0
        self.replace = asyncio.Event()
        self.ready = asyncio.Event()
        self.changed = asyncio.Event()
        self.ended = ""
        self._socket = socket
        self._wanted = wanted
        self._deliver = deliver
        self._settings = settings
        self._time = time
        self._opened = self._heard = time.monotonic()
        self._blocked = False
        self._finished = asyncio.Event()
        self._pace = Pace(settings.message_pause, time)
        self._subscribed: dict[str, int] = {}
        self._request = 1
        self._replies: dict[int | str | None, Event | None] = {}
        self._replied = asyncio.Event()

    def finish(self) -> None:
        """End it: a successor has taken over."""
        self._finished.set()

    async def run(self) -> None:
        """Read until it ends, for whatever reason; then deliver that it was lost and close."""
        tasks = [
            asyncio.create_task(part())
            for part in (self._read, self._subscribe, self._watch, self._until_finished)
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            self.ended = " and ".join(task.result() for task in done)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.replace.set()
            self.ready.set()
            if self.ended:
                log.info("connection ended", connection=self.number, reason=self.ended)
                await self._deliver(Lost(self.number, self.ended))
            await self._socket.close()

    async def _until_finished(self) -> str:
        await self._finished.wait()
        return "a newer connection took over"

    async def _read(self) -> str:
        try:
            while True:
                payload = await self._socket.recv(decode=False)
                self._heard = self._time.monotonic()
                try:
                    await self._take(parse_frame(payload))
                except ProtocolError as error:
                    log.warning("frame skipped", connection=self.number, error=str(error))
        except ConnectionClosed as error:
            return f"it was closed ({error})"

    async def _take(self, event: Event) -> None:
        if isinstance(event, AggregateTrade | KlineUpdate):
            self.newest = max(self.newest, event.event_time)
            # A wait here is ours, not the exchange's: the stale timer must not count it.
            self._blocked = True
            await self._deliver(Told(self.number, event, self.newest))
            self._blocked = False
            self._heard = self._time.monotonic()
        elif isinstance(event, ServerShutdown):
            log.info("the server is about to stop", connection=self.number)
            self.replace.set()
        elif isinstance(event, Reply | ControlError):
            self._answer(event)

    def _answer(self, event: Reply | ControlError) -> None:
        if event.request in self._replies:
            self._replies[event.request] = event
            self._replied.set()
        elif isinstance(event, ControlError):
            log.warning("the exchange reported an error", code=event.code, message=event.message)

    async def _subscribe(self) -> str:
        while True:
            self.changed.clear()
            surplus = [symbol for symbol in self._subscribed if symbol not in self._wanted]
            missing = {
                symbol: turn
                for symbol, turn in self._wanted.items()
                if self._subscribed.get(symbol) != turn
            }
            for method, symbols in (("UNSUBSCRIBE", surplus), ("SUBSCRIBE", missing)):
                problem = await self._request_all(method, symbols)
                if problem:
                    return problem
            self._subscribed.update(missing)
            for symbol in surplus:
                del self._subscribed[symbol]
            for symbol in missing:
                await self._deliver(Subscribed(self.number, symbol))
            self.ready.set()
            await self.changed.wait()

    async def _request_all(self, method: str, symbols: Iterable[str]) -> str:
        names = [name for symbol in symbols for name in stream_names(symbol)]
        for request, message in control_messages(method, names, self._request):
            self._request = request + 1
            await self._pace.turn()
            self._replies[request] = None
            try:
                await self._socket.send(message, text=True)
            except ConnectionClosed as error:
                return f"it was closed ({error})"
            problem = await self._reply(request)
            if problem:
                return f"{method} failed: {problem}"
        return ""

    async def _reply(self, request: int) -> str:
        deadline = self._time.monotonic() + self._settings.reply_timeout
        while self._replies[request] is None:
            self._replied.clear()
            left = deadline - self._time.monotonic()
            if left <= 0 or not await self._time.wait(self._replied, left):
                return "the exchange did not reply"
        reply = self._replies.pop(request)
        return reply.message if isinstance(reply, ControlError) else ""

    async def _watch(self) -> str:
        settings = self._settings
        while True:
            await self._time.sleep(min(settings.stale_after, settings.rotate_after) / 4)
            now = self._time.monotonic()
            if now - self._opened >= settings.rotate_after:
                self.replace.set()
            silent = now - self._heard
            if self._subscribed and not self._blocked and silent >= settings.stale_after:
                return f"it was silent for {silent:.0f} s"
