"""A market seed enters; a short day of the whole ring leaves, as inputs and as what they make.

Two accounts, three instruments, a midnight, a gap, trades of it that come late, foreign bytes, a
command, and a new configuration of one account that drops an instrument and adds a strategy. The
outcome comes from the pure driver in memory, which shares no code with the runtime under test.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from dataclasses import replace

from app.core.events import (
    Action,
    Clock,
    Command,
    Gap,
    Leave,
    Message,
    Record,
)
from app.pipeline import STAGES
from app.runtime.codec import encode
from app.runtime.ports import Entry
from tests.replay.market import (
    ALPHA,
    BETA,
    BETA_CHANGED,
    INSTRUMENTS,
    INTERVAL,
    A,
    B,
    C,
    Trade,
    Walk,
    batch,
    end,
    joining,
)
from tests.simulation.parts import Scenario

MIDNIGHT = 1_570_752_000_000
START = MIDNIGHT - 2 * INTERVAL
INTERVALS = 6
GAP, FILLED, CHANGE = 2, 3, 3
TRADES = 8
GARBAGE = b"not a record"
COMMAND = Command("alpha", "one", Action.FLATTEN, "a person", "to see")
COUNTS = {
    **dict.fromkeys(("trades", "candles", "orders", "fills"), 2),
    **dict.fromkeys(("signals", "portfolio", "allocations", "risk"), 2),
    **{f"state-{stage.name}": 2 for stage in STAGES},
    "snapshots": 2,
    "dead-letters": 1,
    "forks": 1,
}


def walk(seed: int, instrument: str) -> list[list[Trade]]:
    """Return the trades of each interval; the price runs, so that there is something to decide."""
    draw = random.Random(f"{seed}:{instrument}")
    course = Walk(draw, START, 5e-4, 40_000)
    return [
        course.interval(interval, draw.choice((-2e-3, 1e-3, 2e-3)), TRADES)
        for interval in range(INTERVALS)
    ]


def records(seed: int, name: str, number: int) -> Iterator[Record]:
    """Yield what enters of one instrument in one interval."""
    trades = walk(seed, name)
    mine = trades[number]
    yield from steering(name, number)
    if name == A and number == GAP:
        yield batch(name, mine[:2])
        yield Gap(name, mine[2].id, mine[3].id, mine[1].time, mine[4].time, "lost")
        mine = mine[4:]
    if name == A and number == FILLED:
        yield batch(name, trades[GAP][2:4])
    yield replace(batch(name, mine[:2]), age=2)
    if name == B:
        yield replace(batch(name, mine[:2]), age=2)  # a zombie's feed says it again
    if name != A and number + 1 < INTERVALS:
        # A jump over the rest of this interval: skipped here, taken where it stands again.
        yield replace(batch(name, trades[number + 1][:2]), age=1)
    yield batch(name, mine[2:])
    yield Clock(name, end(number, START), trades[number][-1].id, 0)


def steering(name: str, number: int) -> Iterator[Record]:
    if number == 0:
        if name in ALPHA.instruments:
            yield from joining(ALPHA, 1, name, 0, 0, start=START)
        yield from joining(BETA, 1, name, 0, 0, start=START)
    if number == CHANGE and name in BETA_CHANGED.instruments:
        # Not at one time: the configuration acts at the latest.
        yield from joining(BETA_CHANGED, 2, name, CHANGE, CHANGE + (name == B), start=START)
    if number == CHANGE and name == C:
        yield Leave(C, "beta", 2, end(CHANGE, START), "left out of the configuration")


@functools.cache
def inputs(seed: int) -> dict[str, list[list[Record]]]:
    """Return what enters, by instrument and interval."""
    return {
        name: [list(records(seed, name, number)) for number in range(INTERVALS)]
        for name in INSTRUMENTS
    }


@functools.cache
def scenario(seed: int) -> Scenario:
    """Return the market of a seed as a world takes it."""
    lanes = [
        [
            Entry("trades", name.encode(), encode(Message(record)))
            for interval in intervals
            for record in interval
        ]
        for name, intervals in inputs(seed).items()
    ]
    lanes[0].insert(len(lanes[0]) // 2, Entry("trades", A.encode(), GARBAGE))
    order = Entry("signals", COMMAND.account.encode(), encode(Message(COMMAND)))
    return Scenario(f"ring {seed}", STAGES, COUNTS, (*map(tuple, lanes), (order,)))
