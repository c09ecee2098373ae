"""Configurations change while a pipeline runs; every decision time that is due is decided."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from app.core.events import Account, Leave, Message, Portfolio, Record
from app.pipeline import STAGES
from app.replay.driver import Replay
from tests.replay.market import (
    INSTRUMENTS,
    MACD,
    MOMENTUM,
    A,
    B,
    C,
    Market,
    account,
    end,
    joining,
)

INTERVALS = 24
CHANGE = 10


@dataclass(frozen=True)
class Change:
    """Two configurations of an account, and when instruments turn to the second one.

    Attributes:
        first: Acts from the end of the first interval on.
        second: Published in the interval `CHANGE`.
        joins: By instrument, the interval at whose end it joins under the second.
        leaves: By instrument, the interval at whose end it leaves.
        idle: The intervals at whose end nothing takes part: the first ends, the second waits.
    """

    first: Account
    second: Account
    joins: Mapping[str, int]
    leaves: Mapping[str, int]
    idle: range = range(0)


class Changing(Market):
    """A market in which one account is changed."""

    def __init__(self, change: Change) -> None:
        self.change = change
        super().__init__(seed=3, intervals=INTERVALS)

    def _steering(self, name: str, number: int) -> Iterator[Record]:
        change = self.change
        if number == 0 and name in change.first.instruments:
            yield from joining(change.first, 1, name, 0, 0)
        if number == CHANGE and name in change.joins:
            *records, join = joining(change.second, 2, name, CHANGE, change.joins[name])
            first: Any = next(trade for each in self.trades[name][CHANGE:] for trade in each)
            yield from (*records, replace(join, next_id=first.id))
        if number == CHANGE and name in change.leaves:
            yield Leave(name, change.first.name, 2, end(change.leaves[name]), "left out")


def one(*instruments: str, strategy: Any) -> Account:
    return account("one", instruments, strategy, short=True)


CHANGES = {
    "another strategy, an instrument more": Change(
        one(A, strategy=MACD), one(A, B, strategy=MOMENTUM), {A: 11, B: 13}, {}, range(11, 13)
    ),
    "another strategy, one by one": Change(
        one(A, B, strategy=MACD), one(A, B, strategy=MOMENTUM), {A: 11, B: 13}, {}
    ),
    "an instrument more": Change(
        one(A, strategy=MACD), one(A, B, strategy=MACD), {A: 11, B: 13}, {}
    ),
    "another strategy, an instrument for another": Change(
        one(A, B, strategy=MACD),
        one(A, C, strategy=MOMENTUM),
        {A: 11, C: 13},
        {B: 11},
        range(11, 13),
    ),
    "another strategy, an instrument less": Change(
        one(A, B, strategy=MACD), one(A, strategy=MOMENTUM), {A: 11}, {B: 13}
    ),
}


@pytest.mark.parametrize("seed", [None, 1, 2, 3])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_time_at_which_something_takes_part_is_decided(
    change: Change, seed: int | None
) -> None:
    source = Changing(change)
    choose = None if seed is None else random.Random(seed).randrange
    replay = Replay(STAGES, 1, choose, crash_every=30 if seed else 0)
    for name in INSTRUMENTS:
        for records in source.packed[name]:
            for record in records:
                replay.feed("trades", name, Message(record))
    replay.run()
    decided = [each.time for each in replay.records("portfolio") if isinstance(each, Portfolio)]
    assert decided == [end(at) for at in range(INTERVALS) if at not in change.idle]
