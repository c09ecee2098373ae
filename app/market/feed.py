"""Listings of instruments enter; each one's records of `trades` leave, with its durable state.

The feed runs the instruments it is given over one connection to the exchange. It publishes in
id order, declares as gaps what can't be had, and says by clocks when a candle is complete.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from app.core.events import Listing
from app.core.events.checks import LONGEST_TEXT
from app.market.binance.connection import Lost, Subscribed, Told
from app.market.binance.rest import Rest, RestError, UnknownSymbolError
from app.market.binance.settings import StreamSettings
from app.market.binance.stream import Stream
from app.market.instrument import Instrument
from app.market.preparation import OPEN_STATUSES
from app.market.state import FeedState
from app.market.surroundings import Publish, Surroundings
from app.market.tape import TapeSettings
from app.market.timing import SystemTime, TimeSource
from app.market.vigil import Vigil

log = structlog.get_logger()

EXCHANGE = "BINANCE:"
OUTAGE_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """How instruments are fed.

    Attributes:
        stream_address: For example wss://stream.binance.com:9443.
        stream: How connections are kept.
        tape: How trades become records: patience, grace, batch size.
        flush_after: Milliseconds between sendings of trades; what closes a candle goes at once;
            0: at once.
        history_count: Candles to warm up on at a join.
        start_time: Join as of this time, milliseconds since the epoch UTC; none: as of now.
        retry_pause: Seconds between attempts to join.
        status_pause: Seconds between looks at whether a symbol is still traded; one whose streams
            fall silent is looked at sooner.
    """

    stream_address: str
    stream: StreamSettings = field(default_factory=StreamSettings)
    tape: TapeSettings = field(default_factory=TapeSettings)
    flush_after: int = 20
    history_count: int = 500
    start_time: int | None = None
    retry_pause: float = 2.0
    status_pause: float = 600.0

    def __post_init__(self) -> None:
        if not 1 <= self.tape.flush_count <= LONGEST_TEXT:
            raise ValueError(f"flush_count was {self.tape.flush_count}, must be 1 to 10000")


@dataclass(frozen=True, slots=True)
class InstrumentStatus:
    """How one instrument's feed is.

    Attributes:
        instrument: The instrument.
        last_id: Everything up to this id is published; none before the first join.
        last_time: Time of the newest trade published, milliseconds since the epoch UTC.
        exchange_time: The newest exchange time its connections have carried; 0 for none.
        age: Of the newest record of trades, milliseconds.
        gaps: Gaps declared since the start.
        open_gaps: Gaps whose trades are still looked for.
        reconnects: Connections opened since the first one; the same for all instruments.
        waiting: What it waits for; empty for nothing but the market.
        problem: Why an account can't join, or why there is no connection; empty where none.
    """

    instrument: str
    last_id: int | None
    last_time: int
    exchange_time: int
    age: int
    gaps: int
    open_gaps: int
    reconnects: int
    waiting: str
    problem: str


class Feed:
    """Feeds the instruments it is given, until closed.

    Args:
        settings: Its numbers.
        rest: The exchange's REST, open for as long as the feed runs.
        publish: Appends the records of an instrument, in order, and stores the state after them
            once they are acknowledged. It may be called without records: the state alone is
            stored then, before the records of a join.
        state: The stored state of each instrument, looked up when it is added. It may be older
            than the topic: what follows is published again, under the same names.
        time: The clock to wait by.
        chance: Numbers from 0 to 1 that spread retries.
    """

    def __init__(
        self,
        settings: FeedSettings,
        rest: Rest,
        publish: Publish,
        state: Mapping[str, FeedState],
        *,
        time: TimeSource | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._settings = settings
        self._rest = rest
        self._state = state
        self._time = time or SystemTime()
        self._stream = Stream(
            settings.stream_address, settings.stream, time=self._time, chance=chance
        )
        self._times: dict[int, int] = {}
        self._vigil = Vigil(settings.stream.stale_after, settings.status_pause)
        self._down_since: float | None = self._time.monotonic()
        self._instruments: dict[str, Instrument] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._closing = asyncio.Event()
        self._around = Surroundings(
            rest=rest,
            stream=self._stream,
            publish=publish,
            times=self._times,
            tape=settings.tape,
            time=self._time,
            chance=chance,
            flush_after=settings.flush_after,
            history_count=settings.history_count,
            start_time=settings.start_time,
            retry_pause=settings.retry_pause,
            status_pause=settings.status_pause,
        )

    async def add(self, listing: Listing) -> None:
        """Feed an instrument, or take its new listing; raises ValueError for a foreign one."""
        name = listing.instrument
        if not name.startswith(EXCHANGE):
            raise ValueError(f"instrument {name} is not of this exchange; name it {EXCHANGE}SYMBOL")
        if name in self._instruments:
            self._instruments[name].relist(listing)
            return
        state = self._state.get(name, FeedState(name))
        self._instruments[name] = Instrument(listing, state, self._around)
        if self._group is not None:
            self._begin(name)

    async def remove(self, instrument: str) -> None:
        """Stop feeding an instrument without a word on the topic: another worker goes on."""
        self._instruments.pop(instrument, None)
        self._vigil.forget(instrument)
        task = self._tasks.pop(instrument, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def run(self) -> None:
        """Run until closed.

        Raises:
            ExceptionGroup: A publish failed, or a defect: memory may be ahead of the topic.
        """
        async with asyncio.TaskGroup() as group:
            self._group = group
            parts = [
                group.create_task(part())
                for part in (self._stream.run, self._dispatch, self._tell_time, self._watch_status)
            ]
            for name in self._instruments:
                self._begin(name)
            await self._closing.wait()
            self._group = None
            for task in (*parts, *self._tasks.values()):
                task.cancel()

    async def close(self) -> None:
        """Let `run` end; what was not acknowledged is published again after a restart."""
        self._closing.set()

    def status(self) -> list[InstrumentStatus]:
        """Return how each instrument's feed is, in the order they were added."""
        return [self._status(name) for name in self._instruments]

    def _begin(self, name: str) -> None:
        if self._group is not None:
            self._tasks[name] = self._group.create_task(self._instruments[name].run())

    async def _dispatch(self) -> None:
        while True:
            delivery = await self._stream.receive()
            if isinstance(delivery, Told):
                await self._tell(delivery)
            elif isinstance(delivery, Subscribed):
                self._opened(delivery)
            else:
                self._lost(delivery)

    async def _tell(self, told: Told) -> None:
        before = self._times.get(told.connection, 0)
        self._times[told.connection] = told.newest
        self._vigil.heard(EXCHANGE + told.event.symbol, self._time.monotonic())
        instrument = self._instruments.get(EXCHANGE + told.event.symbol)
        if instrument is not None:
            instrument.told(told)
            # Reading waits for publishing. What REST has to fill does not come this way.
            while instrument.tape is not None and instrument.tape.full:
                instrument.room.clear()
                await instrument.room.wait()
        if told.newest // 1000 > before // 1000:
            # A silent instrument learns from the others' events that time has passed.
            for other in self._instruments.values():
                other.wake()

    def _opened(self, subscribed: Subscribed) -> None:
        self._times.setdefault(subscribed.connection, 0)
        self._down_since = None
        instrument = self._instruments.get(EXCHANGE + subscribed.symbol)
        if instrument is not None:
            instrument.opened(subscribed.connection)

    def _lost(self, lost: Lost) -> None:
        self._times.pop(lost.connection, None)
        if not self._times:
            self._down_since = self._time.monotonic()
        for instrument in self._instruments.values():
            instrument.lost(lost.connection)

    async def _tell_time(self) -> None:
        """While there is no connection for longer than patience, learn the time by REST."""
        while True:
            await self._time.sleep(OUTAGE_PAUSE)
            down = self._down_since
            if down is None or self._time.monotonic() - down < self._settings.tape.patience:
                continue
            try:
                now = await self._rest.server_time()
            except RestError as error:
                log.warning("the exchange's time is not known", error=str(error))
                continue
            for instrument in self._instruments.values():
                instrument.outside_time(now)

    async def _watch_status(self) -> None:
        pause = min(self._settings.status_pause, self._settings.stream.stale_after)
        while True:
            await self._time.sleep(pause)
            for name in self._vigil.due(self._instruments, self._time.monotonic()):
                await self._look(self._instruments[name])

    async def _look(self, instrument: Instrument) -> None:
        try:
            info = await self._rest.symbol(instrument.symbol)
        except UnknownSymbolError:
            instrument.delist("delisted: the exchange does not know it any more")
        except RestError as error:
            log.warning("status not known", symbol=instrument.symbol, error=str(error))
        else:
            traded = info.status in OPEN_STATUSES
            instrument.delist("" if traded else f"delisted: its status was {info.status}")

    def _status(self, name: str) -> InstrumentStatus:
        instrument = self._instruments[name]
        tape, state = instrument.tape, instrument.state
        return InstrumentStatus(
            instrument=name,
            last_id=state.last_id,
            last_time=state.last_time,
            exchange_time=tape.newest if tape else 0,
            age=tape.age if tape else 0,
            gaps=tape.gaps if tape else 0,
            open_gaps=len(state.gaps),
            reconnects=max(0, self._stream.opened - 1),
            waiting=tape.waiting() if tape else "a join",
            problem=instrument.problem or self._stream.problem,
        )
