"""The stage that keeps an account's books: signals and fills enter, portfolios leave.

Acting on a decision time T needs the signal of every member for T and, from every instrument of
the portfolio before, the fills booked through T. Whatever stands in front of those in its sender's
order has its effect at T, too; whatever stands behind stays in memory and is read again after a
crash. A command acts at the first T of which some member's signal stands behind it in the
partition, so it is attached by offsets and no order of arrival is remembered.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal

from app.core.booking import Bookings
from app.core.decimals import ZERO, add
from app.core.events import (
    Booked,
    Command,
    Epoch,
    Fill,
    Holding,
    Inbound,
    Instruction,
    Join,
    Leave,
    Mark,
    Opinion,
    Output,
    Portfolio,
    Record,
    Signal,
)
from app.core.flow import Inbox, Outbox
from app.core.positions import equity
from app.core.roster import Due, Pair, Roster, RosterState
from app.core.rules import foreign

REMEMBERED_COMMANDS = 32
"""Commands whose names are kept, so that a double click is one command."""

MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class PortfolioState:
    """The durable state of one account's books.

    Attributes:
        time: The last decision time, milliseconds since the epoch UTC; 0 before the first.
        roster: Who takes part.
        cash: Quote currency.
        holdings: Every strategy's of every instrument ever held, sorted.
        prices: The last known mark of each instrument, quote currency.
        awaited: Instruments that had orders at `time`, so whose fills the next one awaits.
        seen: The last number of each sender whose effect is in this state.
        sent: The last number sent to each destination.
        commands_through: Offset on `signals` of the last command that has acted; -1 for none.
        commands: Names of the last commands that have acted, oldest first.
    """

    time: int
    roster: RosterState
    cash: Decimal
    holdings: tuple[Holding, ...]
    prices: dict[str, Decimal]
    awaited: tuple[str, ...]
    seen: dict[str, int]
    sent: dict[str, int]
    commands_through: int
    commands: tuple[str, ...]


NEW = PortfolioState(0, RosterState(0, (), ()), ZERO, (), {}, (), {}, {}, -1, ())


class PortfolioMachine:
    """One account's books; see the module's text for when it acts.

    The first configuration's capital is the cash at the start; later ones do not change it. What
    was held of an instrument that left stays in the books at its last mark.

    Attributes:
        revision: Counts the changes of the durable state.
        time: The last decision time, milliseconds since the epoch UTC; 0 before the first.
    """

    def __init__(self, key: str, state: PortfolioState | None) -> None:
        state = NEW if state is None else state
        self.revision = 0
        self.time = state.time
        self._account = key
        self._inbox = Inbox(state.seen)
        self._outbox = Outbox("portfolio", key, state.sent)
        self._cash = state.cash
        self._holdings = {(each.strategy, each.instrument): each for each in state.holdings}
        self._prices = dict(state.prices)
        self._awaited = state.awaited
        self._commands_through = state.commands_through
        self._acted_commands = state.commands
        self._roster = Roster(state.roster)
        # Memory from here on. `_known` is the durable roster and what has been read since.
        self._known = Roster(state.roster)
        self._due = self._known.due(self.time)
        self._views: dict[Pair, deque[Inbound]] = {}
        self._signals: dict[int, dict[Pair, Inbound]] = {}
        self._bookings = Bookings()
        self._commands: deque[Inbound] = deque()
        self._newest_command = state.commands_through

    def take(self, inbound: Inbound) -> list[Output]:
        """Take one input; return the portfolios it completes.

        Raises:
            HoleError: Records were lost before this one.
            ForeignRecordError: The record has no place on its topic.
        """
        if isinstance(inbound.record, Command):
            self._take_command(inbound)
            return []
        if not self._inbox.accept(inbound):
            return []
        self._file(inbound)
        outputs: list[Output] = []
        while self._due is not None and self._ready(self._due):
            outputs += self._act(self._due)
        return outputs

    def durable(self) -> PortfolioState:
        """Return the durable state."""
        return PortfolioState(
            time=self.time,
            roster=self._roster.state(),
            cash=self._cash,
            holdings=self._sorted_holdings(),
            prices=dict(sorted(self._prices.items())),
            awaited=self._awaited,
            seen=dict(sorted(self._inbox.seen.items())),
            sent=dict(self._outbox.sent),
            commands_through=self._commands_through,
            commands=self._acted_commands,
        )

    def needs(self) -> dict[str, int]:
        """Return the oldest offset still needed by topic."""
        return self._inbox.holds.oldest()

    def waiting(self) -> str:
        """Return what it waits for in a few words; empty when for nothing but input."""
        if self._due is None:
            missing = self._known.missing()
            return f"join or leave of {_few(missing)}" if missing else ""
        held = self._signals.get(self._due.time, {})
        absent = [f"{strategy}/{name}" for strategy, name in self._due.members
                  if (strategy, name) not in held]  # fmt: skip
        if absent:
            return f"signals of {_few(absent)} for {_clock(self._due.time)}" if held else ""
        return f"fills of {_few(self._unbooked(self._due.time))} through {_clock(self._due.time)}"

    def ahead(self) -> int | None:
        """Return how many signals wait for fills; none while it needs signals."""
        if self._due is None or not self._has_signals(self._due):
            return None
        return sum(map(len, self._signals.values()))

    def _take_command(self, inbound: Inbound) -> None:
        if inbound.offset > self._newest_command:
            self._newest_command = inbound.offset
            self._commands.append(inbound)
            self._inbox.holds.hold(inbound)

    def _file(self, inbound: Inbound) -> None:
        """Keep an input until its time, where its sender's records wait in order."""
        identity = inbound.message.identity
        source = "" if identity is None else identity.source
        stage = "" if identity is None else identity.stage
        match inbound.record:
            case Signal() as signal:
                self._views.setdefault((stage, source), deque()).append(inbound)
                self._signals.setdefault(signal.time, {})[stage, source] = inbound
            case Epoch() | Join() | Leave() as record:
                self._views.setdefault((stage, source), deque()).append(inbound)
                self._known.note(stage, record)
                self._due = self._known.due(self.time)
            case Fill():
                self._bookings.file(source, inbound)
            case Booked():
                self._bookings.file(source, inbound)
                if self._due is not None and source in self._awaited:
                    through = self._filled_by(self._due.time)
                    self._bookings.prepare(source, through, self._holdings)
            case _:
                raise foreign(inbound)

    def _ready(self, due: Due) -> bool:
        return self._has_signals(due) and not self._unbooked(due.time)

    def _has_signals(self, due: Due) -> bool:
        """Return whether every member's signal for a decision time is here."""
        held = self._signals.get(due.time, {})
        return len(held) >= len(due.members) and all(pair in held for pair in due.members)

    def _unbooked(self, time: int) -> list[str]:
        """Return the instruments whose fills before a time have not all come."""
        through = self._filled_by(time)
        return [name for name in self._awaited if not self._bookings.has(name, through)]

    def _filled_by(self, time: int) -> int:
        """Return up to when orders can have been filled at a decision time.

        Those of the one before it, for one interval. Where nothing took part in between, nobody
        ordered, so nothing is booked between either.
        """
        return min(time, self.time + self._known.interval()) if self._awaited else time

    def _act(self, due: Due) -> list[Output]:
        """Let a decision time act: the only change of the durable state."""
        signals = [self._signals[due.time][pair] for pair in due.members]
        begins = due.number != self._known.number
        if not self._known.number:
            self._cash = self._known.account(due.number).capital
        self._book(due.time)
        instructions = self._instruct(max(signal.offset for signal in signals))
        self._absorb_views(due)
        portfolio = self._portfolio(due, signals, instructions)
        self._awaited = tuple(mark.instrument for mark in portfolio.marks)
        self._absorb_idle_fills(due.time)
        records: list[Record] = [*(self._known.epochs(due.number) if begins else ()), portfolio]
        self._advance(due)
        origin = signals[-1].message.name
        return [self._outbox.send("portfolio", self._account, record, origin) for record in records]

    def _advance(self, due: Due) -> None:
        self._known.advance(due)
        self._roster.advance(due)
        self.time = due.time
        self.revision += 1
        self._due = self._known.due(self.time)

    def _book(self, time: int) -> None:
        """Book every awaited instrument's fills before a time."""
        through = self._filled_by(time)
        for instrument in self._awaited:
            settled, taken = self._bookings.take(instrument, through, self._holdings)
            self._cash = add(self._cash, settled.cash)
            self._holdings |= settled.holdings
            self._inbox.absorb_all(taken)

    def _absorb_idle_fills(self, time: int) -> None:
        """Absorb what no decision time will await: instruments that had no orders till now."""
        for instrument in self._bookings.instruments():
            if instrument not in self._awaited:
                self._inbox.absorb_all(self._bookings.take_idle(instrument, time))

    def _instruct(self, completed: int) -> tuple[Instruction, ...]:
        """Take the commands in front of the offset at which the signals were completed."""
        instructions: list[Instruction] = []
        while self._commands and self._commands[0].offset < completed:
            inbound = self._commands.popleft()
            self._inbox.holds.release(inbound)
            self._commands_through = inbound.offset
            name = inbound.message.name
            if isinstance(inbound.record, Command) and name not in self._acted_commands:
                instructions.append(Instruction(inbound.record.action, name))
                self._acted_commands = (*self._acted_commands, name)[-REMEMBERED_COMMANDS:]
        return tuple(instructions)

    def _absorb_views(self, due: Due) -> None:
        """Absorb, of every sender, what has its effect at a decision time or has none."""
        expected = self._known.expected(due.number)
        members = frozenset(due.members)
        for pair, queue in self._views.items():
            ends = Signal if pair in members else Leave
            count = _over(queue, ends, due.time) if pair in expected else len(queue)
            for _ in range(count):
                self._absorb_view(pair, queue.popleft())

    def _absorb_view(self, pair: Pair, inbound: Inbound) -> None:
        self._inbox.absorb(inbound)
        match inbound.record:
            case Signal() as signal:
                held = self._signals[signal.time]
                del held[pair]
                if not held:
                    del self._signals[signal.time]
            case Epoch() | Join() | Leave() as record:
                self._roster.note(pair[0], record)

    def _portfolio(
        self, due: Due, signals: list[Inbound], instructions: tuple[Instruction, ...]
    ) -> Portfolio:
        marks = self._mark(signals)
        holdings = self._sorted_holdings()
        return Portfolio(
            account=self._account,
            time=due.time,
            epoch=due.number,
            cash=self._cash,
            equity=equity(self._cash, holdings, self._prices),
            holdings=holdings,
            marks=marks,
            opinions=tuple(
                Opinion(signal.strategy, signal.instrument, signal.view, inbound.message.name)
                for inbound in signals
                if isinstance(signal := inbound.record, Signal)
            ),
            instructions=instructions,
        )

    def _mark(self, signals: list[Inbound]) -> tuple[Mark, ...]:
        """Return the marks of a decision time; keep the last known prices."""
        marks = {
            signal.instrument: Mark(signal.instrument, signal.price, signal.complete, signal.age)
            for inbound in signals
            if isinstance(signal := inbound.record, Signal)
        }
        for mark in marks.values():
            if mark.price is not None:
                self._prices[mark.instrument] = mark.price
        return tuple(mark for _, mark in sorted(marks.items()))

    def _sorted_holdings(self) -> tuple[Holding, ...]:
        return tuple(holding for _, holding in sorted(self._holdings.items()))


def _over(queue: deque[Inbound], ends: type[Signal | Leave], time: int) -> int:
    """Return how many records a queue holds up to the last of a type at or before a time."""
    count = 0
    for index, inbound in enumerate(queue, start=1):
        if isinstance(inbound.record, Signal) and inbound.record.time > time:
            break
        if isinstance(inbound.record, ends) and inbound.record.time <= time:
            count = index
    return count


def _few(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _clock(time: int) -> str:
    """Return the time of day, UTC; seconds only where there are some."""
    minutes, milliseconds = divmod(time, MINUTE)
    text = f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"
    return f"{text}:{milliseconds // 1000:02d}" if milliseconds else text
