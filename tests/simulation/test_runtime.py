"""The stage runtime under crashes at every point, zombies, compaction, and with rules removed."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from app.core.flow import HoleError
from app.runtime import partition as partition_module
from app.runtime.codec import decode
from app.runtime.partition import Partition, StateLog
from app.runtime.ports import Place, Stored
from app.runtime.stage import StageRuntime
from tests.simulation.toys import COUNTS, STAGES, clocks, expected
from tests.simulation.world import FREEZE, GO, KILL, World

CLOCKS = 6


@pytest.fixture(autouse=True)
def _silence_counts_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_module, "STALE_RECORDS", 2)


Plan = Callable[[int, str], str]


def simulate(plan: Plan, seed: int = 0, runtime: Any = StageRuntime, count: int = CLOCKS) -> World:
    world = World(STAGES, COUNTS, seed, plan, runtime)
    for entry in clocks(count):
        world.log.put(entry)
    world.run()
    return world


def objections(world: World, count: int = CLOCKS) -> list[str]:
    """Return what an independent computation objects to in the topics, as read by identity."""
    found: dict[tuple[str, int], str] = {}
    bytes_of: dict[str, bytes] = {}
    wrong = []
    for place in [Place(topic, n) for topic in ("fills", "risk") for n in range(2)]:
        for stored in world.log.stored(place):
            message = decode(stored.value or b"")
            if bytes_of.setdefault(message.name, stored.value or b"") != stored.value:
                wrong.append(f"{message.name} was repeated with other bytes")
            if place.topic == "risk" and message.identity is not None:
                found[message.identity.destination, message.identity.number] = message.origin or ""
    if found != expected(count):
        wrong.append(f"risk held {found}")
    return wrong


def at(k: int, fate: str) -> Plan:
    return lambda number, _: fate if number == k else GO


def swarm(seed: int, faults: int = 4, within: int = 160) -> Plan:
    """Return a plan with a few faults at random points, kills and freezes."""
    chance = random.Random(f"{seed}:plan")
    where = {chance.randrange(1, within): chance.choice([KILL, FREEZE]) for _ in range(faults)}
    return lambda number, _: where.get(number, GO)


def total_points() -> int:
    return simulate(lambda *_: GO).points


def test_a_run_without_faults_is_what_an_independent_computation_says() -> None:
    assert objections(simulate(lambda *_: GO)) == []


@pytest.mark.parametrize("fate", [KILL, FREEZE])
def test_no_single_fault_at_any_point_loses_or_doubles_a_record(fate: str) -> None:
    points = total_points()
    hit: dict[str, int] = {}
    for k in range(1, points + 1):
        world = simulate(at(k, fate))
        assert objections(world) == [], f"{fate} at point {k}"
        for (name, what), times in world.reached.items():
            if what == fate:
                hit[name] = hit.get(name, 0) + times
    assert sorted(hit) == [
        "append outputs: applied in part",
        "append outputs: applied, not acknowledged",
        "append outputs: sent, not applied",
        "append state: applied in part",
        "append state: applied, not acknowledged",
        "append state: sent, not applied",
        "read",
    ]
    assert sum(hit.values()) == points


def test_no_schedule_of_several_faults_loses_or_doubles_a_record() -> None:
    repeats = 0
    for seed in range(500):
        longer = 20 if seed % 5 == 0 else CLOCKS
        plan = swarm(seed, 10, 400) if longer != CLOCKS else swarm(seed)
        world = simulate(plan, seed, count=longer)
        assert objections(world, longer) == [], f"seed {seed}"
        stored = [s.value for n in range(2) for s in world.log.stored(Place("fills", n))]
        repeats += len(stored) - len(set(stored))
    assert repeats > 0, "no fault fell where it leaves a repeat: the schedules prove nothing"


class StatesBeforeOutputs(StageRuntime):
    async def take(self, batches: Mapping[Place, Sequence[Stored]]) -> None:
        outputs = self._outputs(batches, [])
        await self._log.append(self._changed_states())
        await self._log.append(outputs)
        self._committable = self._needs()


class CommitsWhatItHasRead(StageRuntime):
    def _needs(self) -> dict[Place, int]:
        return {
            Place(topic, partition.number): offset
            for partition in self._partitions.values()
            for topic, offset in partition.position.items()
        }


class ResumesAtTheCommittedOffset(StageRuntime):
    async def _resume(
        self,
        place: Place,  # noqa: ARG002 - the safe one's signature
        committed: int | None,
        needed: int | None,  # noqa: ARG002
    ) -> int:
        return committed or 0


class NewestStateWins(StateLog):
    def _newest(self, stored: list[Stored], number: int) -> Any:
        latest, _ = super()._newest(stored, number)
        return latest, dict(latest)


class ForgetsItsStates(StageRuntime):
    def _changed_states(self) -> list[Any]:
        return []


class NeverResumesLower(ResumesAtTheCommittedOffset):
    """With the newest state winning, a zombie's late state is ahead of or behind the offsets."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._states = NewestStateWins(*arguments)


class TakesRepeats(StageRuntime):
    """Loads states, but without the numbers that tell a repeat."""

    async def _open(self, number: int, places: Mapping[Place, int | None]) -> dict[Place, int]:
        resume = await super()._open(number, places)
        partition: Partition = self._partitions[number]
        for machine in partition.machines.values():
            inbox = getattr(machine, "_inbox", None)
            if inbox is not None:
                inbox._received.clear()
        return resume


@pytest.mark.parametrize(
    "broken",
    [
        StatesBeforeOutputs,
        CommitsWhatItHasRead,
        ForgetsItsStates,
        NeverResumesLower,
        TakesRepeats,
    ],
)
def test_the_oracle_objects_when_a_rule_is_removed(broken: type[StageRuntime]) -> None:
    longer = 20  # a zombie's write must meet a successor that has moved on, then a crash
    for seed in range(600):
        plan = swarm(seed, faults=10, within=400)
        try:
            if objections(simulate(plan, seed, broken, longer), longer):
                return
        except (HoleError, AssertionError):
            return  # the runtime itself, or the liveness check, noticed
    pytest.fail(f"{broken.__name__} passed every schedule: the oracle is blind to it")
