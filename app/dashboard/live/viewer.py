"""What is followed enters; one viewer's stream of server-sent events leaves."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

import orjson

from app.core.events import RECORDS, Record
from app.dashboard.live.cursor import Cursor
from app.dashboard.live.placed import Placed
from app.dashboard.live.sight import Live
from app.dashboard.watch import Watch
from app.runtime.bus import Slow, Subscription
from app.runtime.ports import Place

CAPACITY = 2_000
MOST_IN_EVENT = 200
SILENCE = 15.0
PRICES_PAUSE = 0.25
TYPES: tuple[type[Record], ...] = tuple(RECORDS.values())


@dataclass(frozen=True, slots=True)
class Choice:
    """What a viewer wants; nothing named: everything.

    Attributes:
        accounts: Records of these accounts, and of none.
        instruments: Records of these instruments, and of none.
    """

    accounts: frozenset[str] = frozenset()
    instruments: frozenset[str] = frozenset()

    def wants(self, message: Placed) -> bool:
        """Tell whether a record is sent."""
        return _fits(self.accounts, getattr(message.record, "account", None)) and _fits(
            self.instruments, getattr(message.record, "instrument", None)
        )


def _fits(chosen: frozenset[str], name: object) -> bool:
    return not chosen or name is None or name in chosen


@dataclass(slots=True)
class Viewer:
    """One stream.

    Attributes:
        live: What is looked at,
        watch: and how everything is.
        choice: Which part of it.
        start: Where it goes on; none: with what comes next.
        version: Of this program, for the page.
        lost: Whether it wants to go on at a place that means nothing here.
    """

    live: Live
    watch: Watch
    choice: Choice
    start: Cursor | None
    version: str
    lost: bool = False
    _next: dict[Place, int] = field(default_factory=dict)
    _prices: int = 0
    _prices_at: float = 0.0
    _status: int = 0

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Give the stream's bytes; ends when the viewer was too slow, or the server ends."""
        live, life = self.live, self.live.follower.life
        with live.bus.subscribe("viewer", *TYPES, capacity=CAPACITY, slow=Slow.DISCONNECT) as queue:
            yield self._hello() + self._resume()
            spoken, seen = time.monotonic(), -1
            while not live.pulse.closed and live.follower.life == life:
                await live.pulse.wait(seen, self._patience())
                seen = live.pulse.count
                chunk = self._records(await _taken(queue)) + self._changes()
                if not chunk and time.monotonic() - spoken >= SILENCE:
                    chunk = b": still here\n\n"
                if chunk:
                    spoken = time.monotonic()
                    yield chunk
                if queue.statistics().disconnected:
                    return

    def _patience(self) -> float:
        """Return how long to wait, in seconds: prices held back go out by themselves."""
        return SILENCE if self.live.prices.version == self._prices else PRICES_PAUSE

    def _hello(self) -> bytes:
        self._prices = self.live.prices.version
        prices = self.live.prices.since(0, self.choice.instruments)
        document = {
            "now": round(time.time() * 1000),
            "version": self.version,
            "prices": [orjson.Fragment(price) for price in prices],
        }
        return b"retry: 1000\n" + event("hello", orjson.dumps(document))

    def _resume(self) -> bytes:
        """Return what came since the viewer was last here, or that it can't be had."""
        follower = self.live.follower
        heads = follower.heads()
        start = dict(self.start or {})
        missed = None if self.lost else follower.since(start)
        self._next = heads | start if missed is not None else heads
        if missed is None:
            reason = "too much has come since then to be sent again: load the data again."
            return event("reset", orjson.dumps({"reason": reason}), self._id())
        return self._records(missed) or event("records", b'{"records":[]}', self._id())

    def _records(self, found: Sequence[Placed]) -> bytes:
        return b"".join(
            self._batch(found[first : first + MOST_IN_EVENT])
            for first in range(0, len(found), MOST_IN_EVENT)
        )

    def _batch(self, messages: Sequence[Placed]) -> bytes:
        body = b",".join([message.encoded for message in messages if self._follows(message)])
        return event("records", b'{"records":[' + body + b"]}", self._id()) if body else b""

    def _follows(self, message: Placed) -> bool:
        """Move on to a record; tell whether it is new and wanted."""
        if message.offset < self._next.get(message.place, 0):
            return False
        self._next[message.place] = message.offset + 1
        return self.choice.wants(message)

    def _id(self) -> str:
        return self.live.cursors.write(self._next)

    def _changes(self) -> bytes:
        """Return prices and status, where they are newer than what was sent."""
        return self._new_prices() + self._new_status()

    def _new_prices(self) -> bytes:
        now, prices = time.monotonic(), self.live.prices
        if prices.version == self._prices or now - self._prices_at < PRICES_PAUSE:
            return b""
        changed = prices.since(self._prices, self.choice.instruments)
        self._prices, self._prices_at = prices.version, now
        return event("prices", b'{"prices":[' + b",".join(changed) + b"]}") if changed else b""

    def _new_status(self) -> bytes:
        watch = self.watch
        if watch.version == self._status:
            return b""
        self._status = watch.version
        return event("status", watch.encoded)


def event(name: str, data: bytes, identity: str | None = None) -> bytes:
    """Return a server-sent event; its data is JSON without line ends."""
    head = f"id: {identity}\n" if identity is not None else ""
    return f"{head}event: {name}\ndata: ".encode() + data + b"\n\n"


async def _taken(queue: Subscription) -> list[Placed]:
    """Return all that waits, without waiting."""
    waiting = range(queue.statistics().waiting)
    return [message for _ in waiting if isinstance(message := await anext(queue), Placed)]
