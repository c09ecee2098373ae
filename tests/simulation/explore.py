"""A seed enters, one schedule is run; what it came through and what is wrong with it leave."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from app.runtime import admission
from app.runtime import partition as partition_module
from app.runtime import sink as sink_module
from app.runtime.codec import decode
from tests.simulation import ring, toys
from tests.simulation.faults import Faults
from tests.simulation.oracle import DatabaseOracle, objections, remembered
from tests.simulation.parts import ObjectionError, Parts, Scenario, Tally
from tests.simulation.points import CELLS
from tests.simulation.tape import Tape
from tests.simulation.world import World

# Neither shares a factor with the number of cells, so that every cell meets every scenario.
RING_EVERY = 7
LONG_EVERY = 9


@dataclass(slots=True)
class Outcome:
    """What became of one schedule.

    Attributes:
        seed: Its seed.
        scenario: What entered.
        wrong: What the oracle objects to.
        history: A hash of all that happened.
        drawn: Every choice.
        tally: What it came through.
        steps, points: How long it was.
        repeats: Records that stand twice on a topic.
    """

    seed: int
    scenario: str
    wrong: list[str]
    history: str
    drawn: list[int]
    tally: Tally
    steps: int
    points: int
    repeats: int = 0
    trace: list[str] = field(default_factory=list)


def scenario_of(seed: int) -> Scenario:
    """Return the whole ring for some seeds, tiny stages for most: they are much faster."""
    if seed % RING_EVERY == 0:
        return ring.scenario(seed // RING_EVERY % 4)
    is_long = seed % LONG_EVERY == 0 or "append states" in CELLS[seed % len(CELLS)][0]
    return toys.scenario(20 if is_long else 6)


@contextmanager
def shortened(stale: int) -> Iterator[None]:
    """Let states and the database be looked at often, and bytes be decoded once for all readers."""
    before = partition_module.STALE_RECORDS, sink_module.IDLE_CHECKPOINTS
    partition_module.STALE_RECORDS, sink_module.IDLE_CHECKPOINTS = stale, 1
    admission.__dict__["decode"] = remembered
    try:
        yield
    finally:
        partition_module.STALE_RECORDS, sink_module.IDLE_CHECKPOINTS = before
        admission.__dict__["decode"] = decode


def run_seed(
    seed: int,
    parts: Parts | None = None,
    replay: Sequence[int] | None = None,
    *,
    traced: bool = False,
    heavy: Mapping[str, int] | None = None,
) -> Outcome:
    """Run the schedule of a seed, or one of given choices; or with other, heavy faults."""
    tape = Tape(seed, replay)
    faults = Faults.drawn(tape, CELLS[seed % len(CELLS)])
    scenario = scenario_of(seed)
    if heavy is not None:
        faults = replace(faults, **dict[str, Any](heavy))
        scenario = ring.scenario(0) if seed % LONG_EVERY == 0 else toys.scenario(20)
    return run(scenario, tape, faults, parts, seed, traced=traced)


def run(
    scenario: Scenario,
    tape: Tape,
    faults: Faults,
    parts: Parts | None = None,
    seed: int = 0,
    *,
    traced: bool = False,
) -> Outcome:
    """Run one schedule to its end, and judge it."""
    world = World(scenario, tape, faults, parts)
    world.trace = [] if traced else None
    wrong = []
    # Short schedules leave few states behind: where one is to be written again, any will do.
    stale = 0 if any("checkpoint: append states" in point for point, *_ in faults.targets) else 2
    with shortened(stale), no_collection():
        try:
            wrong = judged(world)
        except ObjectionError as error:
            wrong = [str(error)]
    return Outcome(
        seed,
        scenario.name,
        wrong,
        world.history,
        tape.drawn,
        world.tally,
        world.steps,
        world.points,
        repeats(world),
        world.trace or [],
    )


def judged(world: World) -> list[str]:
    """Run a world to its rest, then its successors; return what is wrong."""
    database = DatabaseOracle(world)
    world.run()
    wrong = [*objections(world), *database.whole()]
    if wrong or world.tape.randrange(4) != 1:
        return wrong
    world.successors()
    return [*objections(world), *database.whole()]


def repeats(world: World) -> int:
    """Return how many records stand on a topic more than once."""
    values = [
        value
        for place, records in world.log.records.items()
        if not place.topic.startswith("state-")
        for _, value in records.values()
    ]
    return len(values) - len(set(values))


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep the collector from running the `finally` of somebody who is dead."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
