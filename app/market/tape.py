"""One instrument's trades and exchange times enter; its records leave in id order, with clocks.

This is where gaps, lateness and clocks are decided. It does no I/O and reads no clock: `now` is
seconds of the monotonic clock wherever it stands, and exchange times are milliseconds UTC.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile

from app.core.events import Clock, Gap, Record, Trades
from app.market.columns import trades_of
from app.market.dumps import Aggregate
from app.market.holes import Arrived, Hole, Sequence
from app.market.sources import Sources
from app.market.state import FeedState, OpenGap

MOST_GAPS = 100
VOID = "void: the exchange withdrew a duplicate under this id"
BEGINNING = "nothing: the exchange's first trade ever has the id after it"


@dataclass(frozen=True, slots=True)
class TapeSettings:
    """How an instrument is fed.

    Attributes:
        patience: Seconds after which what can't be had becomes a gap.
        grace: Milliseconds of exchange time after a boundary before a clock says that every
            trade before it has come.
        probe_pause: Seconds between two requests that brought nothing new.
        buffer: Trades that may wait, in order or out of order, before more are dropped.
        flush_count: Trades in one record at most.
    """

    patience: float = 30.0
    grace: int = 1_000
    probe_pause: float = 2.0
    buffer: int = 10_000
    flush_count: int = 500


class Tape:
    """The published trades of one instrument, and those about to be.

    Args:
        state: Where to go on; its `last_id` must be known.
        interval: The base interval, milliseconds.
        settings: Its numbers.
        times: The newest exchange time of every open connection, a live view.
        now: Seconds of the monotonic clock.

    Attributes:
        state: The durable state after everything that was taken.
        outside: Exchange time learned while no connection is open; 0 otherwise.
        trouble: Why requests fail; empty when they don't.
        gaps: How many gaps were declared.
        age: Of the newest record of trades, milliseconds.
    """

    def __init__(
        self,
        state: FeedState,
        interval: int,
        settings: TapeSettings,
        *,
        times: Mapping[int, int],
        now: float,
    ) -> None:
        if state.last_id is None:
            raise ValueError("a tape needs to know where it begins: last_id was None")
        self.state = state
        self.outside = 0
        self.trouble = ""
        self.gaps = 0
        self.age = 0
        self._interval = interval
        self._settings = settings
        self._sequence = Sequence(state.last_id + 1, settings.buffer)
        self._sources = Sources(times, settings.probe_pause, now)
        self._ready: deque[Arrived | Gap] = deque()
        self._late: list[Aggregate] = []
        self._queued_time = state.last_time
        self._queued_trade = state.last_time
        self._queued_raw = state.last_raw_id
        self._witnessed = -1
        self._witnessed_since = now
        self._progress = now
        self._retry = now

    # What comes in.

    def opened(self, connection: int, now: float) -> None:
        """Take note that a connection carries the instrument from now on."""
        self._sources.open(connection, now)
        self.outside = 0
        self._retry = now

    def lost(self, connection: int, now: float) -> None:
        """Take note that a connection has ended."""
        self._sources.lose(connection, now)

    def trade(self, connection: int, aggregate: Aggregate, newest: int, now: float) -> None:
        """Take a trade that a connection told of when its newest exchange time was `newest`."""
        self._sources.tell(connection, now)
        self._offer(Arrived(aggregate, newest, now))

    def witness(self, last_raw_id: int, now: float) -> None:
        """Take note that a raw trade exists: where it has not come, silence is no proof."""
        if last_raw_id > self._witnessed:
            if not self._lacking():
                self._witnessed_since = now
            self._witnessed = last_raw_id

    def page(self, rows: Iterable[Aggregate], from_id: int, asked: float, now: float) -> None:
        """Take what REST returned from an id on, when it was asked at `asked`."""
        before = self._sequence.next_id
        newest = max(self._sources.newest(), self.outside)
        listed = list(rows)
        if before == from_id == 0 and listed:
            self._begin_at(listed[0].id)
        for row in listed:
            self._offer(Arrived(row, newest, now))
        if self._sequence.next_id > before:
            self._sources.something_newer()
            self._progress = self._retry = now
            return
        if from_id == before:
            self._sources.nothing_newer(asked)
        self._retry = now + self._settings.probe_pause

    def late_page(self, rows: Iterable[Aggregate]) -> None:
        """Take what REST returned from the first id of the oldest open gap on."""
        gap = self._known_gap()
        listed = list(rows)
        if gap is None or gap.last_id is None or not listed:
            return
        self._late = [
            row for row in listed if gap.first_id <= row.id <= gap.last_id and not row.void
        ]
        if not self._late and listed[0].id >= gap.first_id:
            # What is returned is void or beyond: the exchange has no more of it.
            last = min(listed[-1].id, gap.last_id)
            self._fill(gap, last)

    # What is wanted.

    def fetch(self, now: float) -> tuple[int | None, float | None]:
        """Return the id to fetch from, or none and when to ask again (none: when told)."""
        if len(self._ready) >= self._settings.buffer:
            return None, None
        wanted = self._wanted_since()
        if wanted is None:
            return None, None
        begin = max(wanted, self._retry)
        return (self._sequence.next_id, None) if now >= begin else (None, begin)

    @property
    def wants(self) -> bool:
        """Whether something is to be fetched, now or soon."""
        return self._wanted_since() is not None

    def late_fetch(self) -> int | None:
        """Return the id to look for trades of a declared gap from; none where there is none."""
        gap = self._known_gap()
        return None if gap is None or self._late else gap.first_id

    def deadline(self, now: float) -> float | None:
        """Return when patience will be over; none where nothing is awaited, or it is over."""
        since = self._doubt()
        if since is None:
            return None
        end = max(since, self._progress) + self._settings.patience
        return end if end > now else None

    def waiting(self) -> str:
        """Return what the tape waits for in a few words; empty for nothing but the market."""
        hole = self._sequence.hole()
        if hole is not None:
            return f"trades {hole.first_id} to {hole.last_id}"
        if not self._sources:
            return "a connection"
        if not self._sources.sound():
            return f"proof that nothing came before trade {self._sequence.next_id}"
        return f"raw trade {self._witnessed}" if self._lacking() else ""

    @property
    def full(self) -> bool:
        """Whether so much is in order and unpublished that reading has to wait."""
        return len(self._ready) >= self._settings.buffer

    @property
    def pending(self) -> int:
        """How many records in order wait to be taken."""
        return len(self._ready) + len(self._late)

    @property
    def closed(self) -> int:
        """Candles up to this time can't be joined or left any more."""
        last = self.state.last_time // self._interval * self._interval
        return max(self.state.last_clock, last)

    @property
    def closing(self) -> bool:
        """Whether what is in order and unpublished closes a candle."""
        return self._queued_trade >= self.closed + self._interval

    @property
    def newest(self) -> int:
        """The newest exchange time known, 0 for none."""
        return max(self._sources.newest(), self.outside)

    # What goes out.

    def take(self, now: float) -> list[Record]:
        """Return the records to publish next; `state` then is the state after them."""
        self._expire(now)
        records = self._take_late()
        records += self._take_ready()
        if not self._ready:
            records += self._take_clock(now)
        return records

    def give_up(self, time: int) -> list[Record]:
        """Return what closes candles up to a boundary that no connection will ever tell of."""
        if self._ready or self._sequence.hole() is not None or time <= self.closed:
            return []
        return self._clock_at(time, time, incomplete=True)

    def _begin_at(self, identity: int) -> None:
        """Let ids begin where those of an instrument begin that was never traded till now."""
        if identity:
            # It lies before the open candle, which lacks nothing.
            time = max(self.closed - 1, 0)
            name = self.state.instrument
            self._ready.append(Gap(name, 0, identity - 1, time, time, BEGINNING))
            self._queue(self._sequence.skip(Hole(0, identity - 1, 0.0, None)))

    def _offer(self, arrived: Arrived) -> None:
        self._queue(self._sequence.offer(arrived))

    def _queue(self, arrivals: Iterable[Arrived]) -> None:
        for arrived in arrivals:
            self._ready.append(arrived)
            self._queued_time = max(self._queued_time, arrived.aggregate.time)
            if not arrived.aggregate.void:
                self._queued_trade = max(self._queued_trade, arrived.aggregate.time)
                self._queued_raw = arrived.aggregate.last_id

    def _lacking(self) -> bool:
        return 0 <= self._queued_raw < self._witnessed

    def _wanted_since(self) -> float | None:
        if self._sequence.hole() is not None:
            return 0.0
        if self._sources and not self._sources.sound():
            return 0.0
        # The candle that named a trade often comes a moment before the trade.
        return self._witnessed_since + self._settings.probe_pause if self._lacking() else None

    def _doubt(self) -> float | None:
        """Return since when not everything up to the newest exchange time is here."""
        hole = self._sequence.hole()
        if hole is not None:
            return hole.since
        if not self._sources.sound():
            return self._sources.unsound_since
        return self._witnessed_since if self._lacking() else None

    def _expired(self, now: float) -> bool:
        return self._doubt() is not None and self.deadline(now) is None

    def _expire(self, now: float) -> None:
        while (hole := self._sequence.hole()) is not None and self._expired(now):
            self._ready.append(self._gap(hole))
            self._queue(self._sequence.skip(hole))

    def _gap(self, hole: Hole) -> Gap:
        end = hole.end.aggregate.time if hole.end else self.newest
        from_time = self._queued_time or self.state.last_clock
        return Gap(
            self.state.instrument,
            hole.first_id,
            hole.last_id,
            from_time,
            max(end, from_time),
            self._reason(),
        )

    def _reason(self) -> str:
        why = self.trouble or "the exchange did not return them"
        return f"not to be had within {self._settings.patience:g} s: {why}"[:1_000]

    def _take_late(self) -> list[Record]:
        gap = self._known_gap()
        if gap is None or not self._late:
            return []
        rows, self._late = self._late, []
        self._fill(gap, rows[-1].id)
        arrivals = [Arrived(row, self.newest, 0.0) for row in rows]
        return [
            self._trades(arrivals[start : start + self._settings.flush_count])
            for start in range(0, len(arrivals), self._settings.flush_count)
        ]

    def _take_ready(self) -> list[Record]:
        records: list[Record] = []
        batch: list[Arrived] = []
        for _ in range(min(len(self._ready), self._settings.flush_count)):
            item = self._ready.popleft()
            if isinstance(item, Arrived) and not item.aggregate.void:
                batch.append(item)
                continue
            records += self._take_batch(batch)
            batch = []
            records.append(self._take_gap(item if isinstance(item, Gap) else self._void(item)))
        return records + self._take_batch(batch)

    def _void(self, item: Arrived) -> Gap:
        # A reader takes the next id only, so it must be told that there is no such trade.
        row = item.aggregate
        return Gap(self.state.instrument, row.id, row.id, row.time, row.time, VOID)

    def _take_gap(self, gap: Gap) -> Gap:
        self.state = replace(self.state, last_id=gap.last_id)
        if gap.reason not in (VOID, BEGINNING):
            self._remember(gap)
        return gap

    def _take_batch(self, batch: list[Arrived]) -> list[Record]:
        if not batch:
            return []
        inside, records = self._take_missed(batch)
        rest = batch[len(inside) :]
        if rest:
            records.append(self._trades(rest))
        last = batch[-1].aggregate
        self.state = replace(
            self.state,
            last_id=last.id,
            last_raw_id=last.last_id,
            last_time=max(self.state.last_time, *(item.aggregate.time for item in batch), 0),
        )
        return records

    def _take_missed(self, batch: list[Arrived]) -> tuple[list[Arrived], list[Record]]:
        """Name and publish the trades that an open-ended gap turned out to hold."""
        gap = next((gap for gap in self.state.gaps if gap.last_id is None), None)
        if gap is None:
            return [], []
        inside = list(takewhile(lambda item: item.aggregate.time < gap.to_time, batch))
        if len(inside) < len(batch):
            self._forget(gap)
        if not inside:
            return [], []
        first, last = inside[0].aggregate.id, inside[-1].aggregate.id
        # Not to the end of the open gap: that is where the first whole candle begins.
        end = max(gap.from_time, *(item.aggregate.time for item in inside), 0)
        closing = Gap(self.state.instrument, first, last, gap.from_time, end, gap.reason)
        return inside, [closing, self._trades(inside)]

    def _trades(self, batch: list[Arrived]) -> Trades:
        rows = [item.aggregate for item in batch]
        self.age = max(0, *(item.newest - item.aggregate.time for item in batch), 0)
        return trades_of(self.state.instrument, rows, self.age)

    def _take_clock(self, now: float) -> list[Record]:
        if self._doubt() is None:
            newest = self._sources.newest(self._sources.sound())
            return self._clock(newest)
        if self._sequence.hole() is None and self._expired(now):
            return self._clock(self.newest, incomplete=True)
        return []

    def _clock(self, newest: int, *, incomplete: bool = False) -> list[Record]:
        settled = newest - self._settings.grace
        time = settled // self._interval * self._interval
        return self._clock_at(time, newest, incomplete=incomplete) if time > self.closed else []

    def _clock_at(self, time: int, newest: int, *, incomplete: bool) -> list[Record]:
        last_id = max(self.state.last_id or 0, 0)
        clock = Clock(self.state.instrument, time, last_id, newest - time)
        records: list[Record] = [self._open_gap(time), clock] if incomplete else [clock]
        self.state = replace(self.state, last_clock=time)
        return records

    def _open_gap(self, time: int) -> Gap:
        before = next((gap for gap in self.state.gaps if gap.last_id is None), None)
        from_time = max(self.state.last_time, self.state.last_clock)
        if before is not None:
            # The same outage goes on: it began where it began.
            from_time = before.from_time
            self._forget(before)
        name, first_id = self.state.instrument, self._sequence.next_id
        gap = Gap(name, first_id, None, min(from_time, time), time, self._reason())
        self._remember(gap)
        return gap

    def _remember(self, gap: Gap) -> None:
        self.gaps += 1
        entry = OpenGap(gap.first_id, gap.last_id, gap.from_time, gap.to_time, gap.reason)
        self.state = replace(self.state, gaps=(*self.state.gaps, entry)[-MOST_GAPS:])

    def _forget(self, gap: OpenGap) -> None:
        gaps = tuple(other for other in self.state.gaps if other is not gap)
        self.state = replace(self.state, gaps=gaps)

    def _known_gap(self) -> OpenGap | None:
        return next((gap for gap in self.state.gaps if gap.last_id is not None), None)

    def _fill(self, gap: OpenGap, last: int) -> None:
        if gap.last_id is None or last >= gap.last_id:
            self._forget(gap)
            return
        filled = replace(gap, first_id=last + 1)
        gaps = tuple(filled if other is gap else other for other in self.state.gaps)
        self.state = replace(self.state, gaps=gaps)
