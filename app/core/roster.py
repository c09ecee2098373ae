"""Who takes part when: epochs, joins and leaves enter, the next decision time's members leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from app.core.events import Account, Epoch, Join, Leave

Pair = tuple[str, str]
"""A strategy and an instrument."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A join or a leave, as it came through one strategy.

    Attributes:
        strategy: The strategy.
        instrument: The instrument that joined or left.
        epoch: The configuration that named it or left it out.
        time: The first decision time with it, or without, milliseconds since the epoch UTC.
        joins: Whether it joined.
    """

    strategy: str
    instrument: str
    epoch: int
    time: int
    joins: bool


@dataclass(frozen=True, slots=True)
class RosterState:
    """What is known of an account's configurations.

    Attributes:
        number: The configuration that acts; 0 before the first.
        epochs: Its records and those of later ones, by number and instrument.
        turns: What still counts, by strategy and instrument.
    """

    number: int
    epochs: tuple[Epoch, ...]
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """The next decision time of an account.

    Attributes:
        time: Milliseconds since the epoch UTC.
        number: The configuration that acts at it.
        members: Every strategy and instrument whose signal it needs, sorted; never empty.
    """

    time: int
    number: int
    members: tuple[Pair, ...]


class Roster:
    """Which configuration of an account acts at which decision time, and on whose signals.

    A configuration acts from the latest turn of the instruments that it names or drops. At a
    decision time where anything of a later configuration has begun, nothing is due until all its
    turns are known: whoever has that time's signals of all members has read, in front of them,
    every turn up to it, so arrival order decides nothing. Only where two configurations share no
    strategy on any instrument does their order in the log count: the later one must not be
    complete before anything is known of the earlier one.

    Attributes:
        number: The configuration that acts; 0 before the first.
    """

    __slots__ = ("_epochs", "_turns", "number")

    def __init__(self, state: RosterState) -> None:
        self.number = state.number
        self._epochs: dict[int, dict[str, Epoch]] = {}
        self._turns: dict[Pair, list[Turn]] = {}
        for epoch in state.epochs:
            self._epochs.setdefault(epoch.number, {})[epoch.instrument] = epoch
        for turn in state.turns:
            self._turns.setdefault((turn.strategy, turn.instrument), []).append(turn)

    def note(self, strategy: str, record: Epoch | Join | Leave) -> None:
        """Take a record that came through a strategy; an epoch comes once through each."""
        if isinstance(record, Epoch):
            if record.number > self.number:
                self._epochs.setdefault(record.number, {})[record.instrument] = record
            return
        turn = Turn(
            strategy, record.instrument, record.epoch, record.time, isinstance(record, Join)
        )
        self._turns.setdefault((strategy, record.instrument), []).append(turn)

    def due(self, last: int) -> Due | None:
        """Return the next decision time after `last`; None while it can't be known."""
        time = last + self.interval() if self.number else self._next_start(-1)
        while time is not None:
            number = self._number_at(time)
            members = () if number is None else self._members(number, time)
            if number is None or members:
                return None if number is None else Due(time, number, members)
            time = self._next_start(time)  # everything has left: a later configuration goes on
        return None

    def account(self, number: int) -> Account:
        """Return the account as a configuration has it."""
        return next(iter(self._epochs[number].values())).account

    def epochs(self, number: int) -> tuple[Epoch, ...]:
        """Return a configuration's records, sorted by instrument."""
        return tuple(epoch for _, epoch in sorted(self._epochs[number].items()))

    def expected(self, number: int) -> frozenset[Pair]:
        """Return every strategy and instrument of configuration `number` or a later one."""
        return frozenset(
            pair for each in self._epochs if each >= number for pair in self._pairs(each)
        )

    def missing(self) -> list[str]:
        """Return whose turn keeps the next configuration from acting, as strategy/instrument."""
        later = self._later()
        if not later:
            return []
        absent = [p for p in self._pairs(later[0]) if self._turned(p, later[0]) is None]
        absent += [p for p in self._dropped(later[0], self.number) if self._left(p) is None]
        return ["/".join(pair) for pair in absent]

    def advance(self, due: Due) -> None:
        """Let a decision time act: forget what can't count any more."""
        self.number = due.number
        self._epochs = {n: each for n, each in self._epochs.items() if n >= due.number}
        expected = self.expected(due.number)
        self._turns = {
            pair: turns[_last(turns, due.time) or 0 :]
            for pair, turns in self._turns.items()
            if pair in expected
        }

    def state(self) -> RosterState:
        """Return what a successor needs."""
        return RosterState(
            self.number,
            tuple(epoch for number in sorted(self._epochs) for epoch in self.epochs(number)),
            tuple(turn for _, turns in sorted(self._turns.items()) for turn in turns),
        )

    def interval(self) -> int:
        """Return the base interval of the configuration that acts, milliseconds."""
        return next(iter(self._epochs[self.number].values())).interval

    def _later(self) -> list[int]:
        return sorted(number for number in self._epochs if number > self.number)

    def _strategies(self, number: int) -> tuple[str, ...]:
        return tuple(setting.name for setting in self.account(number).strategies)

    def _pairs(self, number: int) -> list[Pair]:
        return sorted(product(self._strategies(number), self.account(number).instruments))

    def _next_start(self, after: int) -> int | None:
        """Return when the next configuration begins, if that is known and after a time."""
        later = self._later()
        start = self._start(later[0], self.number) if later else None
        return start if start is not None and start > after else None

    def _start(self, number: int, acting: int) -> int | None:
        """Return when a configuration takes over from the one acting; None while unknown."""
        times = [self._turned(pair, number) for pair in self._pairs(number)]
        times += [self._left(pair) for pair in self._dropped(number, acting)]
        known = [time for time in times if time is not None]
        return max(known) if len(known) == len(times) else None

    def _dropped(self, number: int, acting: int) -> Iterator[Pair]:
        """Yield the pairs of the acting configuration whose instrument a later one drops."""
        kept = self.account(number).instruments
        for strategy, instrument in self._pairs(acting) if acting else ():
            if instrument not in kept:
                yield strategy, instrument

    def _turned(self, pair: Pair, number: int) -> int | None:
        """Return the time of a pair's first turn under a configuration or a later one."""
        turns = self._turns.get(pair, ())
        return next((turn.time for turn in turns if turn.epoch >= number), None)

    def _left(self, pair: Pair) -> int | None:
        return next((turn.time for turn in self._turns.get(pair, ()) if not turn.joins), None)

    def _number_at(self, time: int) -> int | None:
        """Return which configuration acts at a time; None while that can't be known."""
        acting = self.number
        for number in self._later():
            start = self._start(number, acting)
            if start is None:
                break
            if start > time:
                return acting
            acting = number
        return None if self._begun(acting, time) else acting

    def _begun(self, acting: int, time: int) -> bool:
        """Tell whether, by a time, anything has turned under a configuration not yet acting."""
        return any(
            turn.epoch > acting and turn.time <= time
            for turns in self._turns.values()
            for turn in turns
        )

    def _members(self, number: int, time: int) -> tuple[Pair, ...]:
        return tuple(pair for pair in self._pairs(number) if self._takes_part(pair, number, time))

    def _takes_part(self, pair: Pair, number: int, time: int) -> bool:
        turns = self._turns.get(pair, [])
        last = _last(turns, time)
        return last is not None and turns[last].joins and not self._ended(pair, number, time)

    def _ended(self, pair: Pair, number: int, time: int) -> bool:
        """Tell whether a later configuration, begun on the instrument, drops the strategy."""
        strategy, instrument = pair
        for later in self._epochs:
            strategies = self._strategies(later)
            if later > number and strategy not in strategies:
                began = self._turned((strategies[0], instrument), later)
                if began is not None and began <= time:
                    return True
        return False


def _last(turns: list[Turn], time: int) -> int | None:
    """Return the index of the last turn at or before a time."""
    return max((index for index, turn in enumerate(turns) if turn.time <= time), default=None)
