"""What enters a world, what it is built of and what it came through, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.core.flow import Stage
from app.runtime.ports import Entry, Place, Stored
from app.runtime.sink import SinkIntake
from app.runtime.stage import StageRuntime
from app.storage.sink import Sink
from tests.simulation.database import SimulatedStore
from tests.simulation.log import Point, SimulatedLog
from tests.simulation.members import Group


class ObjectionError(AssertionError):
    """A run did what it must never do."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What enters a world.

    Attributes:
        name: Its name.
        stages: The pipeline.
        counts: The partitions of every topic.
        lanes: Entries that enter from outside; those of one lane keep their order.
    """

    name: str
    stages: tuple[Stage, ...]
    counts: Mapping[str, int]
    lanes: tuple[tuple[Entry, ...], ...]


@dataclass(frozen=True, slots=True)
class Parts:
    """What is under test; a rule is removed by a subclass.

    Attributes:
        runtime: Makes a stage's intake.
        sink: The sink.
        intake: The sink's intake.
        store: The database's door.
        group: What the broker is to a group.
        ends_on_errors: Whether a process ends whose intake raised.
    """

    runtime: Callable[..., Any] = StageRuntime
    sink: type[Sink] = Sink
    intake: type[SinkIntake] = SinkIntake
    store: type[SimulatedStore] = SimulatedStore
    group: type[Group] = Group
    ends_on_errors: bool = True


@dataclass(slots=True)
class Tally:
    """What a run came through.

    Attributes:
        points: How often each point was passed, killed at, frozen at, or failed.
        events: How often each other thing happened.
    """

    points: dict[tuple[str, str], int] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)

    def event(self, name: str) -> None:
        self.events[name] = self.events.get(name, 0) + 1


class CrashingLog(SimulatedLog):
    """A log that also stops before it answers a question, and whose reads may be cut short."""

    cuts = 0

    async def bounds(self, place: Place) -> tuple[int, int]:
        await Point("bounds")
        return await super().bounds(place)

    async def partitions(self, topic: str) -> int:
        await Point("partitions")
        return await super().partitions(topic)

    async def read(self, place: Place, start: int | None = None) -> list[Stored]:
        found = await super().read(place, start)
        if self.cuts and self.chance.randrange(10) == 1:
            self.cuts -= 1
            return found[: self.chance.randrange(len(found))]
        return found
