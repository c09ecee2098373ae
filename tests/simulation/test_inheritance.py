"""What an heir does about the states it finds, so that no zombie outbids or outlives them.

Three owners must meet within one write for this, which happens to one random schedule in tens of
thousands or to none; so each rule has a schedule of its own.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Coroutine
from typing import Any

import orjson
import pytest

from app.runtime.partition import Partition, StateLog
from app.runtime.ports import Place
from app.runtime.stage import LostInputError, StageRuntime
from tests.simulation import toys
from tests.simulation.log import SimulatedLog
from tests.simulation.rules import NeverRewrites, with_states
from tests.simulation.states import newest_states

KEY = toys.INSTRUMENTS[0]
SENT = "append states: sent, not applied"


class LeavesWhatItInherits(StateLog):
    async def load(self, number: int, token: int) -> tuple[Partition, dict[str, int]]:
        partition, needed = await super().load(number, token)
        partition.inherited.clear()
        return partition, needed


class History:
    """A log with six clocks of one instrument, and the owners of their partition."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self.log = SimulatedLog(toys.COUNTS, random.Random(1))
        for entry in toys.clocks(6):
            if entry.key == KEY.encode():
                self.log.put(entry)
        (self.place,) = (place for place in self.log.places("trades") if self.log.stored(place))

    def owner(self, name: str, committed: int | None) -> StageRuntime:
        """Return a runtime that has loaded the partition."""
        runtime: StageRuntime = self._owner(toys.STAGES[0], self.log, "run", name)
        finish(runtime.assign({self.place: committed}))
        return runtime

    def taking(self, runtime: StageRuntime, first: int, end: int) -> Coroutine[Any, Any, None]:
        """Return the take of clocks `first` to `end`."""
        return runtime.take({self.place: self.log.stored(self.place)[first:end]})

    def last(self) -> int:
        """Return the last clock in the state that counts."""
        states = newest_states(self.log, Place("state-pairs", self.place.partition))
        return int(orjson.loads(states[KEY]["body"])["last"])


def finish(coroutine: Coroutine[Any, Any, Any], until: str = "") -> None:
    """Drive a coroutine to its end, or to the point `until`."""
    with contextlib.suppress(StopIteration):
        while coroutine.send(None).name != until:
            pass


def handed_over_twice(owner: Any) -> tuple[History, int]:
    """Hand a partition from an owner to a second and a third, while the first two still write."""
    history = History(owner)
    first = history.owner("first", None)
    finish(history.taking(first, 0, 2))
    committed = first.committable()[history.place]
    ahead = history.taking(first, 2, 6)
    finish(ahead, SENT)
    between = history.taking(history.owner("second", committed), 2, 4)
    finish(between, SENT)
    finish(ahead)
    third = history.owner("third", committed)
    finish(history.taking(third, 2, 6))
    finish(between)
    finish(third.checkpoint())
    return history, third.committable()[history.place]


def test_what_an_owner_inherits_it_writes_under_its_own_token() -> None:
    history, committed = handed_over_twice(StageRuntime)
    assert (committed, history.last()) == (6, 6)
    history.log.truncate(history.place, committed)
    history.owner("fourth", committed)


def test_a_zombie_s_older_state_would_win_otherwise() -> None:
    history, committed = handed_over_twice(with_states(LeavesWhatItInherits))
    assert (committed, history.last()) == (6, 4)
    history.log.truncate(history.place, committed)
    with pytest.raises(LostInputError, match="from offset 4"):
        history.owner("fourth", committed)


def compacted_before_the_checkpoint(owner: Any) -> tuple[History, int]:
    """Let a zombie write last, and compaction erase what its successor wrote; the heir dies."""
    history = History(owner)
    first = history.owner("first", None)
    finish(history.taking(first, 0, 2))
    committed = first.committable()[history.place]
    late = history.taking(first, 2, 4)
    finish(late, SENT)
    second = history.owner("second", committed)
    finish(history.taking(second, 2, 6))
    finish(second.checkpoint())
    finish(late)
    history.owner("third", second.committable()[history.place])
    history.log.compact(Place("state-pairs", history.place.partition))
    return history, second.committable()[history.place]


def test_a_winner_that_is_not_the_last_is_written_again() -> None:
    history, committed = compacted_before_the_checkpoint(StageRuntime)
    assert (committed, history.last()) == (6, 6)
    history.log.truncate(history.place, committed)
    history.owner("fourth", committed)


def test_compaction_would_leave_a_zombie_s_state_otherwise() -> None:
    history, committed = compacted_before_the_checkpoint(with_states(NeverRewrites))
    assert (committed, history.last()) == (6, 4)
    history.log.truncate(history.place, committed)
    with pytest.raises(LostInputError, match="from offset 4"):
        history.owner("fourth", committed)
