"""Market data as an intake: listings enter, the exchange's trades leave to `trades`."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from app.config_sections import Market
from app.core.events import Listing, Message, Output, Record, Trades
from app.core.flow import INSTRUMENT, Stage
from app.market.binance.rest import Rest
from app.market.binance.settings import VENUES, StreamSettings, Venue
from app.market.feed import Feed, FeedSettings
from app.market.state import FeedState
from app.market.tape import TapeSettings
from app.runtime.admission import admit_for
from app.runtime.codec import encode
from app.runtime.failstop import exit_with
from app.runtime.partition import Partition, StateLog
from app.runtime.ports import Entry, Log, Place, Stored

STATE_SECONDS = 1.0
"""Between two writes of a feed's state; what a crash leaves out is published again, and skipped."""


class RevokedError(RuntimeError):
    """The instrument belongs to another worker now."""


class Kept:
    """A feed's state as the state log keeps it; the feed itself is no pure machine.

    Attributes:
        state: What the feed handed over last.
    """

    def __init__(self, key: str, state: FeedState | None) -> None:
        self.state = state or FeedState(key)
        self.revision = 0
        self.time = self.state.last_clock
        self.reason = ""

    def take(self, inbound: object) -> list[Output]:  # noqa: ARG002 - nothing is fed to it
        """Return nothing."""
        return []

    def durable(self) -> FeedState:
        """Return the feed's state."""
        return self.state

    def needs(self) -> dict[str, int]:
        """Return nothing: every listing is read again at each start."""
        return {}

    def waiting(self) -> str:
        """Return what the feed waits for."""
        return self.reason


STAGE = Stage("market", ("instruments",), ("trades",), INSTRUMENT, Kept, FeedState)


class MarketIntake:
    """Runs one feed for the instruments whose partitions of `instruments` this worker owns."""

    def __init__(self, settings: Market, log: Log, run: str, owner: str) -> None:
        self._settings = settings
        self._log = log
        self._states = StateLog(STAGE, log, run, owner)
        self._owned: dict[int, Partition] = {}
        self._counts = 1
        self._written: dict[str, float] = {}
        self._feed: Feed | None = None
        self._closing: list[asyncio.Task[None]] = []

    async def assign(self, places: Mapping[Place, int | None]) -> dict[Place, int]:
        """Load the feeds' states and start feeding; every listing is read from the beginning."""
        self.revoke()
        await asyncio.gather(*self._closing, return_exceptions=True)
        self._closing.clear()
        self._counts = await self._log.partitions("instruments")
        owned = {}
        resume = {}
        for place in places:
            await self._states.check_begun(place.partition, places)
            token = await self._states.claim(place.partition)
            partition, _ = await self._states.load(place.partition, token)
            resume[place] = (await self._log.bounds(place))[0]
            partition.position[place.topic] = resume[place]
            owned[place.partition] = partition
        self._owned = owned
        await self._open(owned)
        return resume

    def revoke(self) -> None:
        """Stop feeding; what was under way is published again by whoever goes on."""
        self._owned = {}
        if self._feed is not None:
            self._closing.append(asyncio.ensure_future(self._feed.close()))
            self._feed = None

    async def take(self, batches: Mapping[Place, Sequence[Stored]]) -> None:
        """Feed each listing's instrument as it says."""
        for place, batch in batches.items():
            for stored in batch:
                admitted = admit_for(stored, STAGE.name)
                if not isinstance(admitted, Message):
                    await self._log.append(admitted)
                elif isinstance(admitted.record, Listing) and self._feed is not None:
                    await self._feed.add(admitted.record)
            if place.partition in self._owned:
                self._owned[place.partition].position[place.topic] = batch[-1].offset + 1

    def committable(self) -> dict[Place, int]:
        """Return what was read, for whoever looks at lag."""
        return {
            Place("instruments", number): partition.position["instruments"]
            for number, partition in self._owned.items()
        }

    async def checkpoint(self) -> None:
        """Append each partition's progress where it moved."""
        for status in self._feed.status() if self._feed else []:
            kept = self._kept(self._owned, status.instrument)
            if kept is not None:
                kept.reason = status.problem or status.waiting
        await self._log.append(
            [
                entry
                for owned in self._owned.values()
                for entry in self._states.progress_entries(owned, self._counts)
            ]
        )

    def full(self) -> frozenset[Place]:
        """Return nothing: whatever is read is done with."""
        return frozenset()

    async def close(self) -> None:
        """Stop feeding and wait until nothing is under way."""
        self.revoke()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _open(self, owned: dict[int, Partition]) -> None:
        venue = _venue(self._settings)
        states = {
            key: machine.state
            for partition in owned.values()
            for key, machine in partition.machines.items()
            if isinstance(machine, Kept)
        }
        stack = AsyncExitStack()
        rest = await stack.enter_async_context(Rest(venue.rest))
        publish = functools.partial(self._publish, owned)
        self._feed = Feed(_feed_settings(self._settings, venue), rest, publish, states)
        self._closing.append(asyncio.create_task(self._run(self._feed, stack, owned)))

    async def _run(self, feed: Feed, stack: AsyncExitStack, owned: dict[int, Partition]) -> None:
        async with stack:
            try:
                await feed.run()
            except Exception as error:  # noqa: BLE001 - memory may be ahead of the log
                if owned is self._owned:
                    exit_with(error, stage=STAGE.name)

    async def _publish(
        self,
        owned: dict[int, Partition],
        instrument: str,
        records: list[Record],
        state: FeedState,
    ) -> None:
        """Append an instrument's records, then, now and then, its feed's state."""
        if owned is not self._owned:
            raise RevokedError(instrument)
        key = instrument.encode()
        await self._log.append([Entry("trades", key, encode(Message(r))) for r in records])
        kept = self._kept(owned, instrument)
        if kept is None:
            return
        kept.state, kept.time = state, max(state.last_clock, state.last_time)
        now = time.monotonic()
        steering = not all(isinstance(record, Trades) for record in records) or not records
        if steering or now - self._written.get(instrument, 0.0) >= STATE_SECONDS:
            self._written[instrument] = now
            await self._log.append([self._states.state_entry(self._home(owned, key), instrument)])

    def _kept(self, owned: dict[int, Partition], instrument: str) -> Kept | None:
        partition = self._home(owned, instrument.encode())
        machine = partition.machines.setdefault(instrument, Kept(instrument, None))
        return machine if isinstance(machine, Kept) else None

    def _home(self, owned: dict[int, Partition], key: bytes) -> Partition:
        return owned[self._log.partition_for(key, self._counts)]


def _venue(settings: Market) -> Venue:
    if settings.stream and settings.rest:
        return Venue(settings.stream, settings.rest)
    return VENUES[settings.exchange]


def _feed_settings(settings: Market, venue: Venue) -> FeedSettings:
    return FeedSettings(
        stream_address=venue.stream,
        stream=StreamSettings(stale_after=settings.stale_after / 1000),
        tape=TapeSettings(
            patience=settings.patience / 1000,
            grace=settings.grace,
            flush_count=settings.flush_count,
        ),
        flush_after=settings.flush_after,
        history_count=settings.history_count,
        start_time=settings.start_time,
    )
