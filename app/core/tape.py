"""One instrument's trades, clocks and gaps enter in log order; what is new in them leaves.

Candles and execution read the same tape, so that both see the same trades in the same intervals.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace

from app.core.columns import IntegerColumn, bounds
from app.core.events import Clock, Epoch, Gap, Join, Leave, Record, Trades, trade_name

KEPT = 60
"""How many closed intervals late trades can still belong to."""


class StreamError(RuntimeError):
    """The stream of one instrument can't be followed; the sentence says why and what to do."""


@dataclass(frozen=True, slots=True)
class Run:
    """Trades `start` to `stop` (exclusive) of a record, in order, all in the open interval."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Late:
    """Trade `index` of a record: of an interval that was closed, or of a gap. For revisions."""

    index: int


@dataclass(frozen=True, slots=True)
class Passed:
    """The interval that ends at `time` is closed; origin names the trade or clock that did it.

    At this moment the tape's state holds everything before `time` and nothing after it.
    """

    time: int
    origin: str


Step = Run | Late | Passed


@dataclass(frozen=True, slots=True)
class Missing:
    """Trades of a gap that were not read; times in milliseconds since the epoch UTC."""

    first_id: int
    last_id: int
    from_time: int
    to_time: int


@dataclass(frozen=True, slots=True)
class Outage:
    """A gap from the next trade on whose end is not known; times as in its record."""

    from_time: int
    to_time: int


@dataclass(frozen=True, slots=True)
class Member:
    """An account's part in the instrument.

    Attributes:
        joined: The epoch of its last join.
        left: The epoch of its last leave; 0 before one.
        until: When it leaves, milliseconds since the epoch UTC; none while it stays.
    """

    joined: int
    left: int
    until: int | None


@dataclass(frozen=True, slots=True)
class TapeState:
    """Where the tape stands; its size does not grow with time.

    Attributes:
        interval: The base interval, milliseconds; 0 before the first epoch.
        next_id: The next trade due; none before the first join.
        closed: End of the last closed interval, milliseconds since the epoch UTC.
        gapped_before: Open intervals that begin before this are touched by a gap.
        outage: A gap whose end is not known.
        missing: Trades of gaps that touch the last intervals.
        members: By account.
    """

    interval: int = 0
    next_id: int | None = None
    closed: int = 0
    gapped_before: int = 0
    outage: Outage | None = None
    missing: tuple[Missing, ...] = ()
    members: dict[str, Member] = field(default_factory=dict)

    @property
    def end(self) -> int:
        """End of the open interval, milliseconds since the epoch UTC."""
        return self.closed + self.interval

    def whole(self, end: int) -> bool:
        """Return whether no gap touches the interval that ends at `end`, just closed or open."""
        return self.outage is None and end - self.interval >= self.gapped_before

    def restored(self, end: int) -> bool:
        """Return whether no trade is missing any more from the interval that ends at `end`."""
        if self.outage is not None and self.outage.from_time < end:
            return False
        begin = end - self.interval
        return not any(gap.from_time < end and gap.to_time >= begin for gap in self.missing)


class Tape:
    """Reads one instrument's stream; `state` is where it stands."""

    __slots__ = ("_skipped", "state")

    def __init__(self, state: TapeState | None = None) -> None:
        self.state = state or TapeState()
        self._skipped = -1

    def take(self, record: Record) -> Iterator[Step]:
        """Yield what is new in a record; the state moves along, step by step.

        A caller must exhaust it: what it leaves is lost.
        """
        if isinstance(record, Trades):
            yield from self._trades(record)
        elif isinstance(record, Clock):
            yield from self._clock(record)
        elif isinstance(record, Gap):
            self._gap(record)

    def adopt(self, epoch: Epoch) -> None:
        """Learn the base interval; raises StreamError where it differs from the one in use."""
        if self.state.interval not in (0, epoch.interval):
            raise StreamError(
                f"{epoch.name()} set the base interval to {epoch.interval} ms, but "
                f"{epoch.instrument} runs on {self.state.interval} ms: one run has one interval. "
                f"Restore it, or start a new run (kafka.prefix)."
            )
        if not self.state.interval:
            self.state = replace(self.state, interval=epoch.interval)

    def join(self, join: Join) -> bool:
        """Let an account take part; return whether that is new.

        The first account, or the first after all have left, starts the tape at its trade and time.

        Raises:
            StreamError: Its time was passed already, or is not the end of an interval.
        """
        member = self.state.members.get(join.account)
        if member is not None and join.epoch <= member.joined:
            return False
        self._check_time(join)
        if not self._followed():
            self._start(join)
        left = member.left if member is not None else 0
        self._admit(join.account, Member(join.epoch, left, None))
        return True

    def leave(self, leave: Leave) -> bool:
        """Let an account go; return whether that is new.

        Raises:
            StreamError: It takes part, and the time was passed already or ends no interval.
        """
        member = self.state.members.get(leave.account, Member(0, 0, 0))
        if leave.epoch <= member.left:
            return False
        until = member.until
        if until is None:
            self._check_time(leave)
            until = leave.time
        self._admit(leave.account, Member(member.joined, leave.epoch, until))
        return True

    def waiting(self) -> str:
        """Return which trade it waits for where later ones were read already; else nothing."""
        due = self.state.next_id
        return "" if due is None or self._skipped < due else f"trade {due}, before {self._skipped}"

    def _trades(self, record: Trades) -> Iterator[Step]:
        due = self.state.next_id
        if due is None:
            return
        start = bisect_left(record.id, due)
        yield from self._recovered(record, start)
        stop = _end_of_run(record.id, start, due)
        if stop < len(record.id):
            self._skipped = record.id[-1]
        while start < stop:
            start = yield from self._advance(record, start, stop)

    def _recovered(self, record: Trades, stop: int) -> Iterator[Late]:
        for index in range(stop if self.state.missing else 0):
            if self._recover(record.id[index]):
                yield Late(index)

    def _recover(self, trade_id: int) -> bool:
        missing = self.state.missing
        for place, gap in enumerate(missing):
            if gap.first_id <= trade_id <= gap.last_id:
                rest = (replace(gap, last_id=trade_id - 1), replace(gap, first_id=trade_id + 1))
                kept = tuple(part for part in rest if part.first_id <= part.last_id)
                around = (*missing[:place], *kept, *missing[place + 1 :])
                self.state = replace(self.state, missing=around)
                return True
        return False

    def _advance(self, record: Trades, start: int, stop: int) -> Generator[Step, None, int]:
        """Take trades in id order from `start` on; return where the next step begins."""
        time = record.time[start]
        if self._is_late(time):
            self.state = replace(self.state, next_id=record.id[start] + 1)
            yield Late(start)
            return start + 1
        if self.state.outage is not None:
            self.state = replace(self.state, outage=None)
        yield from self._pass(time, trade_name(record.instrument, record.id[start]))
        end = _end_within(record.time, start, stop, range(self.state.closed, self.state.end))
        self.state = replace(self.state, next_id=record.id[end - 1] + 1)
        yield Run(start, end)
        return end

    def _is_late(self, time: int) -> bool:
        outage = self.state.outage
        return time < self.state.closed or (outage is not None and time < outage.to_time)

    def _clock(self, clock: Clock) -> Iterator[Passed]:
        due = self.state.next_id
        if due is None:
            return
        if clock.last_id and clock.last_id >= due:
            self._skipped = clock.last_id
            return
        yield from self._pass(clock.time, clock.name())

    def _pass(self, time: int, origin: str) -> Iterator[Passed]:
        while time >= self.state.end:
            closed = self.state.end
            # The interval that has just become too old can still be revised at this close.
            oldest = closed - (KEPT + 1) * self.state.interval
            missing = self.state.missing
            if missing:
                missing = tuple(gap for gap in missing if gap.to_time >= oldest)
            self.state = replace(self.state, closed=closed, missing=missing)
            yield Passed(closed, origin)

    def _gap(self, gap: Gap) -> None:
        due = self.state.next_id
        if due is None:
            return
        if gap.first_id > due:
            self._skipped = gap.first_id
        elif gap.last_id is None:
            self._open_gap(gap, due)
        elif gap.last_id >= due:
            rest = Missing(due, gap.last_id, gap.from_time, gap.to_time)
            self.state = replace(
                self.state,
                next_id=gap.last_id + 1,
                outage=None,
                missing=(*self.state.missing, rest),
                # A missing trade may be as young as the one after the gap.
                gapped_before=max(self.state.gapped_before, gap.to_time + 1),
            )

    def _open_gap(self, gap: Gap, due: int) -> None:
        outage = self.state.outage
        if outage is None and gap.first_id < due:
            return
        to_time = gap.to_time if outage is None else max(gap.to_time, outage.to_time)
        self.state = replace(
            self.state,
            outage=Outage(gap.from_time if outage is None else outage.from_time, to_time),
            gapped_before=max(self.state.gapped_before, to_time, gap.from_time + 1),
        )

    def _check_time(self, record: Join | Leave) -> None:
        state = self.state
        if not state.interval or record.time % state.interval or record.time <= state.closed:
            raise StreamError(
                f"{record.name()} was for {record.time}, but the trades had passed {state.closed} "
                f"in intervals of {state.interval} ms: it must follow its epoch and come before "
                f"the trades of an end of an interval. Correct its writer, then start a new run "
                f"(kafka.prefix)."
            )

    def _followed(self) -> bool:
        """Return whether an account takes part in intervals still to be closed."""
        return any(
            member.until is None or member.until > self.state.closed
            for member in self.state.members.values()
        )

    def _start(self, join: Join) -> None:
        state = self.state
        self.state = replace(
            state,
            next_id=max(state.next_id or 0, join.next_id),
            closed=max(state.closed, join.time - state.interval),
            outage=None,
        )

    def _admit(self, account: str, member: Member) -> None:
        # A new dictionary: states handed out before stay as they were.
        self.state = replace(self.state, members={**self.state.members, account: member})


def _end_of_run(ids: IntegerColumn, start: int, due: int) -> int:
    """Return where the ids that follow each other from `due` on end."""
    if start == len(ids) or ids[start] != due:
        return start
    last = len(ids) - 1
    if ids[last] - due == last - start:
        return len(ids)
    stop = start + 1
    while ids[stop] - due == stop - start:
        stop += 1
    return stop


def _end_within(times: IntegerColumn, start: int, stop: int, within: range) -> int:
    """Return where the times that lie in an interval, the first of which does, end."""
    earliest, latest = bounds(times, start, stop)
    if within.start <= earliest and latest < within.stop:
        return stop
    end = start + 1
    while within.start <= times[end] < within.stop:
        end += 1
    return end
