"""One client's socket: control messages come in, replies and the hub's frames go out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import time_ns

from aiohttp import WSMsgType, web

from app.market.exchange.control_messages import (
    ControlError,
    Request,
    parse_request,
    reply,
)
from app.market.exchange.frames import text_frame
from app.market.exchange.hub import Hub
from app.market.exchange.payloads import MICROSECOND, MILLISECOND
from app.market.exchange.settings import ExchangeSettings
from app.market.exchange.stream_names import StreamName, parse_stream_name

POLICY_VIOLATION = 1008
FRAMES_PER_WRITE = 256
_UNITS = {"MILLISECOND": MILLISECOND, "MICROSECOND": MICROSECOND}


@dataclass(slots=True)
class ConnectionContext:
    """What all connections share.

    Attributes:
        settings: the exchange's numbers.
        hub: delivers the streams.
        advance: brings exchange time up to date, so that a subscription begins at a definite one.
        nested_errors: whether error frames have the form `{"error": {...}, "id": ...}`.
    """

    settings: ExchangeSettings
    hub: Hub
    advance: Callable[[], object]
    nested_errors: bool = False


class Connection:
    """A connection from its handshake to its end.

    Attributes:
        combined: whether events are wrapped with their stream's name.
        unit: 1 for times in milliseconds, 1000 for microseconds.
        stalled: whether events are withheld, for good, while pings and replies go on.
    """

    def __init__(self, context: ConnectionContext, request: web.Request, *, combined: bool) -> None:
        self.combined = combined
        self.unit = _unit(request)
        self.stalled = False
        self._context = context
        self._request = request
        self._socket = web.WebSocketResponse(
            autoping=False, compress=False, timeout=context.settings.close_timeout_seconds
        )
        self._streams: dict[str, None] = {}
        self._queue: deque[bytes] = deque()
        self._waiting = asyncio.Event()
        self._received: deque[float] = deque(maxlen=context.settings.messages_per_second)
        self._pings: dict[bytes, asyncio.TimerHandle] = {}
        self._closing: asyncio.Task[bool] | None = None
        self._methods: dict[str, Callable[[Request], object]] = {
            "SUBSCRIBE": self._subscribe,
            "UNSUBSCRIBE": self._unsubscribe,
            "LIST_SUBSCRIPTIONS": lambda _: list(self._streams),
            "SET_PROPERTY": self._set_property,
            "GET_PROPERTY": self._get_property,
        }

    @property
    def waiting_frames(self) -> int:
        """How many frames the client is behind."""
        return len(self._queue)

    async def run(self, names: list[str]) -> web.WebSocketResponse:
        """Serve the client until either side ends the connection.

        Args:
            names: the streams its URL asks for; malformed ones stay silent.
        """
        await self._socket.prepare(self._request)
        self._context.advance()
        for name in names:
            self._add(name, parse_stream_name(name) or StreamName("", ""))
        settings, loop = self._context.settings, asyncio.get_running_loop()
        end = loop.call_later(settings.lifetime_seconds, self.close, settings.lifetime_close_code)
        tasks = [loop.create_task(self._write()), loop.create_task(self._ping())]
        try:
            await self._read()
        finally:
            end.cancel()
            self._leave()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._closing:
                await self._closing
        return self._socket

    def push(self, frame: bytes) -> None:
        """Queue the bytes of one event, unless events are withheld."""
        if not self.stalled:
            self.send_bytes(frame)

    def send_bytes(self, data: bytes) -> None:
        """Queue bytes as they are; a client too far behind is dropped."""
        if len(self._queue) >= self._context.settings.queue_frames:
            self.cut()
            return
        self._queue.append(data)
        self._waiting.set()

    def cut(self) -> None:
        """End the connection without a close frame."""
        self._leave()
        self._queue.clear()
        if self._request.transport is not None:
            self._request.transport.abort()

    def close(self, code: int | None, reason: str = "") -> None:
        """End the connection with a close frame after what is queued; without one if no code."""
        if code is None:
            self.cut()
        elif self._closing is None:
            self._leave()
            self._flush()
            closing = self._socket.close(code=code, message=reason.encode())
            self._closing = asyncio.get_running_loop().create_task(closing)

    async def closed(self) -> None:
        """Wait for a close handshake that was begun."""
        if self._closing:
            await self._closing

    def _leave(self) -> None:
        for name in self._streams:
            self._context.hub.unsubscribe(self, name)
        self._streams.clear()
        for timer in self._pings.values():
            timer.cancel()
        self._pings.clear()

    async def _write(self) -> None:
        with suppress(ConnectionError):
            while True:
                await self._waiting.wait()
                self._waiting.clear()
                while self._queue:
                    self._flush(FRAMES_PER_WRITE)
                    await self._request.writer.drain()

    def _flush(self, most: int | None = None) -> None:
        """Hand queued frames to the socket in one write."""
        count = min(len(self._queue), most or len(self._queue))
        data = b"".join(self._queue.popleft() for _ in range(count))
        if self._request.transport is not None and data:
            self._request.transport.write(data)

    async def _ping(self) -> None:
        """Ping with a payload, and end the connection if it isn't answered in time."""
        settings, loop = self._context.settings, asyncio.get_running_loop()
        with suppress(ConnectionError):
            while settings.ping_interval_seconds is not None:
                await asyncio.sleep(settings.ping_interval_seconds)
                payload = str(time_ns() // 1_000_000).encode()
                self._pings[payload] = loop.call_later(
                    settings.pong_timeout_seconds, self.close, POLICY_VIOLATION, "Pong timeout"
                )
                await self._socket.ping(payload)

    async def _read(self) -> None:
        async for message in self._socket:
            if self._too_many():
                self.close(POLICY_VIOLATION, "Too many requests")
            elif message.type is WSMsgType.PING:
                await self._socket.pong(message.data)
            elif message.type is WSMsgType.PONG:
                self._pong(bytes(message.data))
            elif message.type is WSMsgType.TEXT:
                self._control(message.data)

    def _too_many(self) -> bool:
        """Count an incoming frame, of whatever kind, against the limit per second."""
        now = asyncio.get_running_loop().time()
        full = len(self._received) == self._received.maxlen
        recent = full and now - self._received[0] < 1
        self._received.append(now)
        return recent

    def _pong(self, payload: bytes) -> None:
        """Take a pong as the answer to its ping and those before; an empty one answers nothing."""
        if not payload:
            return
        if payload not in self._pings:
            if self._context.settings.check_pong_payload:
                self.close(POLICY_VIOLATION, "Pong payload mismatch")
                return
            payload = next(reversed(self._pings), payload)
        for sent in [*self._pings][: [*self._pings, payload].index(payload) + 1]:
            self._pings.pop(sent).cancel()

    def _control(self, text: str) -> None:
        if len(text.encode()) > self._context.settings.control_message_bytes:
            return
        try:
            request = parse_request(text)
            self._context.advance()
            answer = reply(request, self._methods[request.method](request))
        except ControlError as error:
            answer = error.render(nested=self._context.nested_errors)
        self.send_bytes(text_frame(answer))

    def _subscribe(self, request: Request) -> None:
        meanings = {name: parse_stream_name(name) for name in request.names()}
        if None in meanings.values():
            raise request.refuse(2, "Invalid request: invalid stream")
        most = self._context.settings.streams_per_connection
        if len(self._streams.keys() | meanings.keys()) > most:
            raise request.refuse(4, "Too many subscriptions")
        for name, meaning in meanings.items():
            if meaning is not None:
                self._add(name, meaning)

    def _add(self, name: str, meaning: StreamName) -> None:
        self._streams[name] = None
        self._context.hub.subscribe(self, name, meaning)

    def _unsubscribe(self, request: Request) -> None:
        for name in request.names():
            if name in self._streams:
                del self._streams[name]
                self._context.hub.unsubscribe(self, name)

    def _set_property(self, request: Request) -> None:
        self._property(request, values=1)
        value = request.params[1]
        if not isinstance(value, bool):
            raise request.refuse(1, "Invalid value type: expected Boolean")
        self.combined = value

    def _get_property(self, request: Request) -> bool:
        self._property(request, values=0)
        return self.combined

    @staticmethod
    def _property(request: Request, *, values: int) -> None:
        """Check that a request names the one property there is, and brings its values."""
        if not request.params or not isinstance(request.params[0], str):
            raise request.refuse(2, "Invalid request: property name must be a string")
        if request.params[0] != "combined":
            raise request.refuse(0, "Unknown property")
        if len(request.params) > 1 + values:
            raise request.refuse(2, "Invalid request: too many parameters")
        if len(request.params) < 1 + values:
            raise request.refuse(1, "Invalid value type: expected Boolean")


def _unit(request: web.Request) -> int:
    name = request.query.get("timeUnit", "MILLISECOND")
    if name not in _UNITS and name not in [unit.lower() for unit in _UNITS]:
        raise web.HTTPBadRequest(text="timeUnit must be MILLISECOND or MICROSECOND")
    return _UNITS[name.upper()]


def stream_names(request: web.Request, settings: ExchangeSettings) -> list[str]:
    """Return the stream names in a URL, raw or combined.

    Raises:
        web.HTTPException: the URL is too long or names too many streams.
    """
    if len(request.raw_path) > settings.url_characters:
        raise web.HTTPRequestURITooLong(text="URI Too Long")
    listed = request.match_info.get("streams", request.query.get("streams", ""))
    names = [name.replace(" ", "+") for name in listed.split("/") if name]  # a query's + is a space
    if len(names) > settings.streams_per_connection:
        raise web.HTTPBadRequest(text="Too many streams")
    return names
