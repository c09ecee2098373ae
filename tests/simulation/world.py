"""A simulated log and consumer group under the real stage runtime; seeds enter, histories leave.

Coroutines are driven by hand: every operation on the log stops at named points before and after
its effect, and there the run's plan says go on, kill the worker, or freeze it (a zombie that wakes
up when a successor has begun). Nothing else awaits, so the points are every place where a real
process can die between two effects.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.core.flow import Stage
from app.runtime.ports import Entry, Place, Stored
from app.runtime.stage import StageRuntime

GO, KILL, FREEZE = "go", "kill", "freeze"


class Point:
    """An awaitable that hands its name to whoever drives the coroutine."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __await__(self) -> Generator[str, None, None]:
        yield self.name


class SimulatedLog:
    """Topics in memory; appends may land in part, reads return what stands."""

    def __init__(self, counts: Mapping[str, int], chance: random.Random) -> None:
        self.counts = dict(counts)
        self.records: dict[Place, dict[int, tuple[bytes, bytes]]] = {}
        self.ends: dict[Place, int] = {}
        self._chance = chance

    def put(self, entry: Entry) -> int:
        """Append one record without any point; return its offset."""
        number = entry.partition
        if number is None:
            number = self.partition_for(entry.key, self.counts.get(entry.topic, 1))
        place = Place(entry.topic, number)
        offset = self.ends.get(place, 0)
        self.records.setdefault(place, {})[offset] = (entry.key, entry.value)
        self.ends[place] = offset + 1
        return offset

    def stored(self, place: Place, start: int = 0) -> list[Stored]:
        """Return what stands from `start` on."""
        return [
            Stored(place.topic, place.partition, offset, key, value)
            for offset, (key, value) in self.records.get(place, {}).items()
            if offset >= start
        ]

    def compact(self, place: Place) -> None:
        """Keep the last record of each key, as a broker may at any time."""
        records = self.records.get(place, {})
        last = {key: offset for offset, (key, _) in records.items()}
        self.records[place] = {o: r for o, r in records.items() if last[r[0]] == o}

    async def append(self, entries: Sequence[Entry]) -> list[int]:
        if not entries:
            return []
        kind = "state" if entries[0].topic.startswith("state-") else "outputs"
        await Point(f"append {kind}: sent, not applied")
        # A crash may leave any prefix per partition; partitions are independent of each other.
        some = self._chance.sample(sorted({e.topic for e in entries}), k=1)
        early = [e for e in entries if e.topic in some]
        offsets = {id(entry): self.put(entry) for entry in early}
        await Point(f"append {kind}: applied in part")
        offsets |= {id(entry): self.put(entry) for entry in entries if id(entry) not in offsets}
        await Point(f"append {kind}: applied, not acknowledged")
        return [offsets[id(entry)] for entry in entries]

    async def read(self, place: Place, start: int | None = None) -> list[Stored]:
        await Point("read")
        return self.stored(place, start or 0)

    async def bounds(self, place: Place) -> tuple[int, int]:
        return 0, self.ends.get(place, 0)

    async def partitions(self, topic: str) -> int:
        return self.counts[topic]

    def partition_for(self, key: bytes, partitions: int) -> int:
        return sum(key) % partitions


@dataclass(slots=True)
class Worker:
    """One process: a runtime a stage, and where it reads next."""

    runtimes: list[Any]
    reading: dict[tuple[str, Place], int] = field(default_factory=dict)
    generation: int = 0


class World:
    """One log, one group a stage, one owner at a time, and a plan for what goes wrong.

    Attributes:
        reached: How often each point was passed, killed at, or frozen at.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        counts: Mapping[str, int],
        seed: int,
        plan: Callable[[int, str], str],
        runtime: Callable[..., Any] = StageRuntime,
    ) -> None:
        self.chance = random.Random(f"{seed}:schedule")
        self.log = SimulatedLog(counts, random.Random(f"{seed}:log"))
        self.reached: dict[tuple[str, str], int] = {}
        self.points = 0
        self._stages = stages
        self._runtime = runtime
        self._plan = plan
        self._committed: dict[tuple[str, Place], int] = {}
        self._generation = 0
        self._graveyard: list[Any] = []  # collecting a suspended coroutine would run its finally
        self._frozen: list[Coroutine[Any, Any, Any]] = []

    def run(self, steps: int = 3000) -> None:
        """Run until every stage has taken all there is, through whatever the plan does."""
        worker = self._start()
        for _ in range(steps):
            moved = False
            for runtime in self.chance.sample(worker.runtimes, len(worker.runtimes)):
                outcome = self._turn(worker, runtime)
                if outcome == "dead":
                    worker = self._start()
                    moved = True
                    break
                moved = moved or outcome == "moved"
            self._thaw()
            if not moved and not self._frozen:
                return
        raise AssertionError("the run did not come to rest: livelock")

    def _start(self) -> Worker:
        """Start workers until one survives its assignment."""
        while True:
            self._generation += 1
            owner = f"worker-{self._generation}"
            runtimes = [self._runtime(s, self.log, "sim", owner) for s in self._stages]
            worker = Worker(runtimes, generation=self._generation)
            if all(self._assign(worker, runtime) for runtime in runtimes):
                return worker
            self._graveyard.append(worker)

    def _assign(self, worker: Worker, runtime: Any) -> bool:
        stage = runtime.stage
        for number in range(self.log.counts[stage.inputs[0]]):
            if self.chance.random() < 0.3:
                self.log.compact(Place(f"state-{stage.name}", number))
        counts = self.log.counts
        places = [Place(topic, n) for topic in stage.inputs for n in range(counts[topic])]
        committed = {place: self._committed.get((stage.name, place)) for place in places}
        alive, resume = self._drive(runtime.assign(committed))
        if alive:
            worker.reading |= {(stage.name, place): at for place, at in resume.items()}
        return alive

    def _turn(self, worker: Worker, runtime: Any) -> str:
        stage = runtime.stage
        batches = {}
        for (name, place), at in worker.reading.items():
            if name == stage.name and self.chance.random() < 0.8:
                found = self.log.stored(place, at)
                batches[place] = found[: self.chance.randrange(1, 6)]
        batches = {place: batch for place, batch in batches.items() if batch}
        if not batches:
            return "moved" if self._behind(worker, stage) else "idle"
        alive, _ = self._drive(runtime.take(batches))
        if not alive:
            return "dead"
        for place, batch in batches.items():
            worker.reading[stage.name, place] = batch[-1].offset + 1
        if self.chance.random() < 0.2:
            alive, _ = self._drive(runtime.checkpoint())
            if not alive:
                return "dead"
        if worker.generation == self._generation and self.chance.random() < 0.5:
            for place, offset in runtime.committable().items():
                self._committed[stage.name, place] = offset
        return "moved"

    def _behind(self, worker: Worker, stage: Stage) -> bool:
        return any(
            self.log.ends.get(place, 0) > at
            for (name, place), at in worker.reading.items()
            if name == stage.name
        )

    def _drive(self, coroutine: Coroutine[Any, Any, Any]) -> tuple[bool, Any]:
        """Drive to the end, or to where the plan ends it; return whether it lives, its value."""
        while True:
            try:
                name = coroutine.send(None)
            except StopIteration as done:
                return True, done.value
            self.points += 1
            fate = self._plan(self.points, name)
            self.reached[name, fate] = self.reached.get((name, fate), 0) + 1
            if fate == KILL:
                self._graveyard.append(coroutine)
                return False, None
            if fate == FREEZE:
                self._frozen.append(coroutine)
                return False, None

    def _thaw(self) -> None:
        """Let zombies go on, one now and then: their writes come late."""
        while self._frozen and self.chance.random() < 0.3:
            zombie = self._frozen.pop(0)
            try:
                while True:
                    zombie.send(None)
            except StopIteration:
                pass
