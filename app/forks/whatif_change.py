"""A restored run and other settings enter; what is to be done to it leaves: records, and words.

A change is what it would have been in the run itself: a new configuration of the account, whose
epoch and joins enter every instrument's trades at the moment, and which acts from the first
decision time at or after it. Orders that were open go on under the terms they were given under.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.backtest.topics import overridden
from app.backtest.words import Override
from app.core.events import Account, Epoch, Join, Leave, Record, Series
from app.core.strategies import STRATEGIES
from app.core.strategies.base import Parameters
from app.errors import ConfigurationError
from app.forks.whatif_point import Point
from app.times import format_time

ACCOUNTS = "accounts"


@dataclass(frozen=True, slots=True)
class Variant:
    """What is tried.

    Attributes:
        name: What it is called.
        overrides: The settings that differ from the run's own.
    """

    name: str
    overrides: tuple[Override, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One account's new configuration.

    Attributes:
        account: The account as changed.
        overrides: What changed it; laid over its later configurations as well.
        number: Of the configuration.
        records: What enters at the moment, by instrument.
        kept: Strategies that go on as they were.
        anew: Strategies that are begun anew: other parameters, or not there before.
        candles: How many base intervals these want to have seen.
    """

    account: Account
    overrides: tuple[Override, ...]
    number: int
    records: dict[str, tuple[Record, ...]]
    kept: tuple[str, ...]
    anew: tuple[str, ...]
    candles: int

    def epochs(self) -> list[Epoch]:
        """Return the configuration's records, an instrument each."""
        every = (record for records in self.records.values() for record in records)
        return [record for record in every if isinstance(record, Epoch)]

    def later(self, record: Record) -> Record:
        """Return a recorded record as this account's flow has it after the change.

        The run's own later configurations follow it: their numbers are one higher, and the
        settings are laid over them, too.

        Raises:
            ConfigurationError: A later configuration can't be changed so.
        """
        if isinstance(record, Epoch) and record.account.name == self.account.name:
            if record.number < self.number:
                return record
            account = overridden(record.account, self.overrides, record.interval)
            return replace(record, account=account, number=record.number + 1)
        if isinstance(record, Join | Leave) and record.account == self.account.name:
            late = record.epoch >= self.number
            return replace(record, epoch=record.epoch + 1) if late else record
        return record


def changes(point: Point, variant: Variant) -> tuple[Change, ...]:
    """Return what a variant changes, an account each; accounts that stay as they are left out.

    Raises:
        ConfigurationError: A setting names no account of the run, or can't be changed any more.
    """
    names = dict.fromkeys(_account(point, each) for each in variant.overrides)
    found = [_change(point, name, variant.overrides) for name in names]
    return tuple(each for each in found if each is not None)


def _account(point: Point, override: Override) -> str:
    first, *rest = override.path
    if first != ACCOUNTS or len(rest) < 2:  # noqa: PLR2004 - a name and a key
        raise ConfigurationError(
            f"--set {override.key}: only settings of an account can be changed in a fork, as "
            f"accounts.paper.strategies.macd.fast=8."
        )
    if rest[0] not in point.rules:
        raise ConfigurationError(
            f"--set {override.key}: no account {rest[0]!r} had decided anything by "
            f"{format_time(point.time)}, only {', '.join(point.rules)}."
        )
    return rest[0]


def _change(point: Point, name: str, overrides: tuple[Override, ...]) -> Change | None:
    epochs = point.rules[name]
    epoch = next(iter(epochs.values()))
    mine = tuple(each for each in overrides if each.path[1] == name)
    account = overridden(epoch.account, mine, epoch.interval)
    _check(point, epoch, account)
    if account == epoch.account:
        return None
    kept, anew = _strategies(epoch.account, account)
    return Change(
        account,
        mine,
        epoch.number + 1,
        {each: _records(point, epochs[each], account) for each in account.instruments},
        kept,
        anew,
        wanted(account, anew),
    )


def _check(point: Point, epoch: Epoch, account: Account) -> None:
    before = epoch.account
    if (account.capital, account.quote) != (before.capital, before.quote):
        raise ConfigurationError(
            f"--set accounts.{account.name}.capital or .quote: what the account has by "
            f"{format_time(point.time)} is what it earned; only a run from the beginning can have "
            f"begun with another: `lockstep backtest --topics --set …`."
        )
    for name in account.instruments:
        state = point.candles(name)
        if state is not None and state.epochs.get(account.name) != epoch.number:
            raise ConfigurationError(
                f"at {format_time(point.time)} {account.name} was changing from configuration "
                f"{epoch.number} to another: name a time before that, or a minute later."
            )


def _strategies(before: Account, after: Account) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return whose state can be kept, and who begins anew: any other parameter makes it so."""
    old, new = _parameters(before), _parameters(after)
    kept = tuple(name for name in new if name in old and new[name] == old[name])
    return kept, tuple(name for name in new if name not in kept)


def _parameters(account: Account) -> dict[str, Parameters]:
    return {each.name: STRATEGIES[each.name].parse(each.parameters) for each in account.strategies}


def wanted(account: Account, names: Sequence[str]) -> int:
    """Return how many base intervals the strategies named want to have seen."""
    parameters = _parameters(account)
    return max((STRATEGIES[name].history(parameters[name]) for name in names), default=0)


def _records(point: Point, epoch: Epoch, account: Account) -> tuple[Record, ...]:
    number, time = epoch.number + 1, point.decision
    changed = replace(epoch, account=account, number=number)
    state = point.candles(epoch.instrument)
    member = None if state is None else state.tape.members.get(account.name)
    if state is None or member is None or member.until is not None:
        reason = "it had left before the fork"
        return changed, Leave(epoch.instrument, account.name, number, time, reason)
    next_id = state.tape.next_id or 0
    return changed, Join(epoch.instrument, account.name, number, time, next_id, Series.AGGREGATE)
