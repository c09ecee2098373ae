"""One instrument's trades and every account's orders enter; fills and `booked` leave."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal

from app.core.decimals import subtract
from app.core.events import (
    Booked,
    Clock,
    Epoch,
    Fill,
    Gap,
    History,
    Inbound,
    Join,
    Leave,
    Orders,
    Outcome,
    Output,
    Trades,
    trade_name,
)
from app.core.fills import Part, Terms, Working, offered
from app.core.flow import Inbox, Outbox
from app.core.rules import foreign
from app.core.tape import Passed, Run, StreamError, Tape, TapeState

TRADES = "trades"
FILLS = "fills"


@dataclass(frozen=True, slots=True)
class Span:
    """While the instrument takes part: decision times from `start` to before `end`, if known."""

    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account's part, as of its last `booked`, epoch, join or leave.

    Attributes:
        joined: The epoch of its last join; 0 before one.
        left: The epoch of its last leave; 0 before one.
        booked: Booked through this decision time, milliseconds since the epoch UTC.
        spans: When it takes part, from the first that is not booked to its end.
        terms: How its orders are filled, by the number of their epoch.
    """

    joined: int = 0
    left: int = 0
    booked: int = 0
    spans: tuple[Span, ...] = ()
    terms: dict[str, Terms] = field(default_factory=dict)

    def span(self, time: int) -> Span | None:
        """Return the span that a decision time is in or before; none after the last."""
        return next((one for one in self.spans if one.end is None or time < one.end), None)

    def position(self) -> int | None:
        """Return the oldest decision time whose orders may be due; none while it has no part."""
        return max(self.booked, self.spans[0].start) if self.spans else None


@dataclass(frozen=True, slots=True)
class ExecutionState:
    """What is durable.

    Attributes:
        tape: Where the stream stood at the oldest decision time not booked by every account.
        seen: The last booked number of each sender of orders.
        sent: How many records each account was sent, as of its last `booked`.
        accounts: By name.
    """

    tape: TapeState = field(default_factory=TapeState)
    seen: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, AccountState] = field(default_factory=dict)


@dataclass(slots=True)
class _Interval:
    """The trades from one decision time on, as they stand in their records, while they are needed.

    Attributes:
        tape: Where the stream stood at its begin.
        offset: Where to read on from there; none while nothing stood there yet.
        runs: Records, each with the range of its trades that are in the interval.
    """

    tape: TapeState
    offset: int | None
    runs: list[tuple[Trades, range]] = field(default_factory=list)

    def trades(self) -> int:
        """Return how many trades there are."""
        return sum(len(indexes) for _, indexes in self.runs)


class _Book:
    """One account's orders of one decision time at work; parts of them leave as trades enter."""

    def __init__(self, orders: Orders, terms: Terms) -> None:
        self.orders = orders
        self._terms = terms
        self._runs = 0
        self._working = [Working(order) for order in orders.orders]
        self._turns = sorted(self._working, key=lambda working: working.order.order_id)

    def fill(self, interval: _Interval) -> Iterator[Fill]:
        """Yield what the trades of the interval not met before fill, in their order."""
        begin = self.orders.time + self._terms.model.latency
        runs, self._runs = interval.runs[self._runs :], len(interval.runs)
        for record, indexes in runs:
            for index in indexes:
                if not self._turns:
                    return
                if record.time[index] >= begin:
                    yield from self._meet(record, index)

    def begin_anew(self) -> None:
        """Take the interval's first record as the next to meet: those before it are let go."""
        self._runs = 0

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return what became of each order, in their order."""
        return tuple(
            Outcome(working.order.order_id, working.filled, working.remaining)
            for working in self._working
        )

    def _meet(self, record: Trades, index: int) -> Iterator[Fill]:
        left: Decimal = offered(record.quantity[index], self._terms)
        for working in self._turns:
            part = working.meet(record.price[index], left, self._terms)
            if part is None:
                continue
            left = subtract(left, part.quantity)
            yield self._made(working, part, record, index)
            if not working.remaining:
                self._turns = [each for each in self._turns if each is not working]

    def _made(self, working: Working, part: Part, record: Trades, index: int) -> Fill:
        return Fill(
            account=self.orders.account,
            instrument=self.orders.instrument,
            order_id=working.order.order_id,
            part=working.parts,
            strategy=working.order.strategy,
            side=working.order.side,
            decision_time=self.orders.time,
            time=record.time[index],
            trade_id=record.id[index],
            price=part.price,
            quantity=part.quantity,
            fee=part.fee,
            liquidity=part.liquidity,
        )


class ExecutionMachine:
    """Fills orders with trades, each account by itself, whichever came first.

    Attributes:
        revision: Counts the changes of the durable state.
        time: The oldest decision time not booked by every account, milliseconds since the epoch
            UTC.
    """

    def __init__(self, key: str, state: ExecutionState | None) -> None:
        state = state or ExecutionState()
        self._key = key
        self._tape = Tape(state.tape)
        self._inbox = Inbox(state.seen)
        self._outbox = Outbox("execution", key, state.sent)
        self._sent = dict(state.sent)
        self._accounts = dict(state.accounts)
        self._due: dict[str, deque[Inbound]] = {}
        self._books: dict[str, _Book] = {}
        self._intervals: dict[int, _Interval] = {}
        self._held = 0  # trades, in all intervals
        self.revision = 0
        self.time = state.tape.closed
        self._open(None)

    def take(self, inbound: Inbound) -> list[Output]:
        """Take one record of `trades` or `orders`; return what it fills and books.

        Raises:
            HoleError: Orders were lost.
            StreamError: The stream or the orders can't be followed.
            ForeignRecordError: The record does not belong on its topic.
        """
        if isinstance(inbound.record, Orders):
            return self._take_orders(inbound, inbound.record)
        # What a clock or a join opened begins with the next record, whatever that is.
        for interval in reversed(self._intervals.values()):
            if interval.offset is not None:
                break
            interval.offset = inbound.offset
        return self._take_stream(inbound)

    def durable(self) -> ExecutionState:
        """Return the durable state."""
        oldest = next(iter(self._intervals.values()), None)
        return ExecutionState(
            tape=self._tape.state if oldest is None else oldest.tape,
            seen=dict(self._inbox.seen),
            sent=dict(self._sent),
            accounts=dict(self._accounts),
        )

    def needs(self) -> dict[str, int]:
        """Return the oldest offsets of trades and orders that are not booked by every account."""
        oldest = self._inbox.holds.oldest()
        interval = next(iter(self._intervals.values()), None)
        if interval is not None and interval.offset is not None:
            oldest[TRADES] = interval.offset
        return oldest

    def waiting(self) -> str:
        """Return the first account whose orders, join or epoch are overdue, or the trade due."""
        for name in sorted(self._accounts.keys() | self._due.keys()):
            text = self._overdue(name)
            if text:
                return text
        return self._tape.waiting()

    def ahead(self) -> int | None:
        """Return how many trades wait for orders; none while orders or a join need the stream."""
        if any(self._due.values()):
            return None
        positions = [account.position() for account in self._accounts.values()]
        closed = self._tape.state.closed
        if any(position is not None and position > closed for position in positions):
            return None
        return self._held

    def _take_orders(self, inbound: Inbound, orders: Orders) -> list[Output]:
        if not self._inbox.accept(inbound):
            return []
        self._due.setdefault(orders.account, deque()).append(inbound)
        outputs = self._work(orders.account)
        self._trim()
        return outputs

    def _take_stream(self, inbound: Inbound) -> list[Output]:
        record = inbound.record
        if isinstance(record, Trades | Clock | Gap):
            self._follow(record, inbound.offset)
        elif isinstance(record, Epoch):
            self._adopt(record)
        elif isinstance(record, Join):
            self._join(record)
        elif isinstance(record, Leave):
            self._leave(record)
        elif not isinstance(record, History):
            raise foreign(inbound)
        outputs = [output for name in sorted(self._due) for output in self._work(name)]
        self._trim()
        return outputs

    def _follow(self, record: Trades | Clock | Gap, offset: int) -> None:
        opened: _Interval | None = None
        for step in self._tape.take(record):
            if isinstance(step, Passed):
                if opened is not None:
                    # What passed over a whole interval must be read again to pass over it again.
                    opened.offset = offset
                # The trade that closed an interval is the first to read again for the next one.
                opened = self._open(offset if isinstance(record, Trades) else None)
            elif isinstance(step, Run) and isinstance(record, Trades):
                runs = self._intervals[self._tape.state.closed].runs
                runs.append((record, range(step.start, step.stop)))
                self._held += step.stop - step.start

    def _open(self, offset: int | None) -> _Interval | None:
        tape = self._tape.state
        if tape.next_id is not None and tape.closed not in self._intervals:
            self._intervals[tape.closed] = _Interval(tape, offset)
        return self._intervals.get(tape.closed)

    def _adopt(self, epoch: Epoch) -> None:
        account = self._accounts.get(epoch.account.name, AccountState())
        if epoch.number <= max(map(int, account.terms), default=0):
            return
        self._tape.adopt(epoch)
        terms = Terms(epoch.account.execution, epoch.filters)
        self._change(
            epoch.account.name,
            replace(account, terms={**account.terms, str(epoch.number): terms}),
        )

    def _join(self, join: Join) -> None:
        self._tape.join(join)
        self._open(None)
        account = self._accounts.get(join.account, AccountState())
        if join.epoch <= account.joined:
            return
        spans = account.spans
        if not spans or spans[-1].end is not None:
            spans = (*spans, Span(join.time, None))
        self._change(join.account, replace(account, joined=join.epoch, spans=spans))

    def _leave(self, leave: Leave) -> None:
        self._tape.leave(leave)
        account = self._accounts.get(leave.account, AccountState())
        if leave.epoch <= account.left:
            return
        spans = account.spans
        if spans and spans[-1].end is None:
            spans = (*spans[:-1], replace(spans[-1], end=leave.time))
        self._change(leave.account, replace(account, left=leave.epoch, spans=spans))

    def _change(self, name: str, account: AccountState) -> None:
        self._accounts[name] = account
        self.revision += 1

    def _work(self, name: str) -> list[Output]:
        """Fill and book one account's orders as far as trades and orders have come."""
        outputs: list[Output] = []
        while (book := self._book(name)) is not None:
            for fill in book.fill(self._intervals[book.orders.time]):
                origin = trade_name(self._key, fill.trade_id)
                outputs.append(self._outbox.send(FILLS, name, fill, origin))
            if book.orders.time >= self._tape.state.closed:
                break
            outputs.append(self._close(name, book))
        return outputs

    def _book(self, name: str) -> _Book | None:
        """Return the orders at work, or put the next ones to work if all they need is there."""
        due = self._due.get(name)
        if name in self._books or not due:
            return self._books.get(name)
        orders, account = due[0].record, self._accounts.get(name)
        if account is None or not isinstance(orders, Orders):
            return None
        span, terms = account.span(orders.time), account.terms.get(str(orders.epoch))
        if span is None or terms is None or orders.time > self._tape.state.closed:
            return None
        if orders.time < max(span.start, account.booked) or orders.time not in self._intervals:
            raise _untimely(due[0], orders, max(span.start, account.booked))
        self._books[name] = _Book(orders, terms)
        return self._books[name]

    def _close(self, name: str, book: _Book) -> Output:
        inbound, account = self._due[name].popleft(), self._accounts[name]
        del self._books[name]
        orders = book.orders
        time = orders.time + self._tape.state.interval
        spans = tuple(one for one in account.spans if one.end is None or orders.time < one.end)
        final = spans[0].end == time
        booked = Booked(name, self._key, time, book.outcomes(), final)
        output = self._outbox.send(FILLS, name, booked, inbound.message.name)
        self._inbox.absorb(inbound)
        self._sent[name] = self._outbox.sent[name]
        terms = {number: each for number, each in account.terms.items()
                 if int(number) >= orders.epoch}  # fmt: skip
        spans = spans[1:] if final else spans
        self._change(name, replace(account, booked=time, spans=spans, terms=terms))
        return output

    def _position(self, name: str, account: AccountState) -> int | None:
        book = self._books.get(name)
        return account.position() if book is None else book.orders.time

    def _trim(self) -> None:
        """Let go of the trades that no account needs any more."""
        self._forget_met()
        positions = [self._position(name, account) for name, account in self._accounts.items()]
        oldest = min((time for time in positions if time is not None), default=None)
        closed = self._tape.state.closed
        oldest = closed if oldest is None else min(oldest, closed)
        first = self.time
        while (first := next(iter(self._intervals), first)) < oldest and self._intervals:
            self._held -= self._intervals.pop(first).trades()
        if first != self.time:
            self.time = first
            self.revision += 1

    def _forget_met(self) -> None:
        """Let go of the open interval's trades that the orders of every account have met.

        Nobody else can come to need them: a join is for the end of an interval still to come.
        """
        closed = self._tape.state.closed
        interval = self._intervals.get(closed)
        if interval is None or any(self._awaits(name, closed) for name in self._accounts):
            return
        self._held -= interval.trades()
        interval.runs.clear()
        for book in self._books.values():
            book.begin_anew()

    def _awaits(self, name: str, closed: int) -> bool:
        """Return whether an account's orders for a time, or an earlier one, are still to come."""
        position = self._accounts[name].position()
        return name not in self._books and position is not None and position <= closed

    def _overdue(self, name: str) -> str:
        account, due = self._accounts.get(name, AccountState()), self._due.get(name)
        if not due:
            position = account.position()
            late = position is not None and position < self._tape.state.closed
            return f"orders of {name} for {position} or later" if late else ""
        orders = due[0].record
        if not isinstance(orders, Orders) or name in self._books:
            return ""
        if str(orders.epoch) not in account.terms:
            return f"epoch {orders.epoch} of {name}"
        return "" if account.span(orders.time) else f"the join of {name} for {orders.time}"


def _untimely(inbound: Inbound, orders: Orders, position: int) -> StreamError:
    return StreamError(
        f"{inbound.topic}/{inbound.partition}/{inbound.offset} held orders of {orders.account} for "
        f"{orders.time}, but those for {position} or later were due, at the end of an interval: "
        f"run `lockstep verify` to see where the log differs, then start a new run (kafka.prefix)."
    )
