"""A reader of `trades` that takes records as the architecture says, checking all it can."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from app.core.events import Clock, Epoch, Gap, History, Join, Leave, Record, Trades
from app.core.tape import Tape
from app.market.tape import BEGINNING, VOID


@dataclass
class Reader:
    """One instrument's reader.

    Attributes:
        interval: The base interval, milliseconds.
        next_id: The id it takes next; none before the first join.
        closed: Candles up to this time are closed.
        most: Trades that a record may hold.
        taken, late: Ids as they came.
        missing: Ids in a gap that have not come.
        open_until: Where the newest gap without an end reaches.
        repeats: Ids that came again, after a restart only.
    """

    interval: int
    next_id: int | None = None
    closed: int = 0
    most: int = 10_000
    taken: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    missing: set[int] = field(default_factory=set)
    open_until: int = 0
    clocks: list[Clock] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    joins: list[Join] = field(default_factory=list)
    leaves: list[Leave] = field(default_factory=list)
    histories: list[History] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    ages: list[int] = field(default_factory=list)
    restarted: bool = False
    repeats: list[int] = field(default_factory=list)

    # What candles and execution read the topic with: it must agree at every step.
    core: Tape = field(default_factory=Tape)

    def take(self, records: Iterable[Record]) -> None:
        for record in records:
            self._take_into_core(record)
            self._take(record)
            assert self.core.waiting() == "", record
            if self.core.state.members:
                assert self.core.state.next_id == self.next_id
                assert self.core.state.closed == self.closed

    def _take_into_core(self, record: Record) -> None:
        if isinstance(record, Epoch):
            self.core.adopt(record)
        elif isinstance(record, Join):
            self.core.join(record)
        elif isinstance(record, Leave):
            self.core.leave(record)
        else:
            list(self.core.take(record))

    def _take(self, record: Record) -> None:
        if isinstance(record, Trades):
            self._trades(record)
        elif isinstance(record, Gap):
            self._gap(record)
        elif isinstance(record, Clock):
            self._clock(record)
        elif isinstance(record, Join):
            self._join(record)
        elif isinstance(record, Leave):
            assert record.time > self.closed, "the candle to leave at was closed"
            assert record.time % self.interval == 0
            self.leaves.append(record)
        elif isinstance(record, History):
            self.histories.append(record)
        else:
            assert isinstance(record, Epoch)
            self.epochs.append(record)

    def _join(self, record: Join) -> None:
        assert self.epochs[-1].account.name == record.account, "an epoch comes before its join"
        assert self.epochs[-1].number == record.epoch
        assert record.time % self.interval == 0
        assert record.time > self.closed, "the candle to join at was closed"
        self.joins.append(record)
        if self.restarted and self.next_id is not None:
            return
        # The first account, and the first after all have left, begins anew.
        if self.next_id is None or self.next_id != record.next_id:
            assert record.next_id >= (self.next_id or 0)
            self.closed = record.time - self.interval
        self.next_id = record.next_id

    def _clock(self, record: Clock) -> None:
        assert self.next_id is not None
        assert record.time % self.interval == 0
        if self.restarted and record.last_id < self.next_id - 1:
            return
        assert record.last_id == max(self.next_id - 1, 0)
        assert record.time > self.closed or self.restarted
        self.clocks.append(record)
        self.closed = max(self.closed, record.time)

    def _trades(self, record: Trades) -> None:
        assert self.next_id is not None
        assert len(record.id) <= self.most
        self.ages.append(record.age)
        for identity, time in zip(record.id, record.time, strict=True):
            if identity in self.missing:
                self.missing.remove(identity)
                self.late.append(identity)
            elif identity < self.next_id:
                assert self.restarted, f"{identity} came twice"
                self.repeats.append(identity)
            else:
                assert identity == self.next_id
                self.next_id += 1
                self.taken.append(identity)
                self.times.append(time)
                self.closed = max(self.closed, time // self.interval * self.interval)

    def _gap(self, record: Gap) -> None:
        self.gaps.append(record)
        assert record.first_id == self.next_id
        if record.last_id is None:
            self.open_until = record.to_time
            return
        if record.reason not in (VOID, BEGINNING):
            self.missing.update(range(record.first_id, record.last_id + 1))
        self.next_id = record.last_id + 1
