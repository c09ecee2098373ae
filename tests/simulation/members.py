"""What a worker is made of in the simulation: processes, their members of groups, and the groups.

A member does what `app/runtime/shell.py` does with an intake: assign, take and checkpoint exclude
each other, a commit may be under way beside them, and a revocation comes at any moment.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.runtime.ports import Place, Stored
from tests.simulation.log import Point, SimulatedLog

Task = Coroutine[Point, None, Any]


class FencedError(Exception):
    """A commit of an older generation was refused."""


class CommitError(Exception):
    """The broker's answer to a commit: a failure, whatever became of the offsets."""


@dataclass(eq=False, slots=True)
class Process:
    """One worker process.

    Attributes:
        name: Its own, also after a restart.
        stages: The groups it is a member of.
        members: By group.
        dead: Killed, ended by an error, or stopped.
        frozen: Stopped as by SIGSTOP.
        leaving: Being stopped cleanly.
    """

    name: str
    stages: tuple[str, ...]
    members: dict[str, Member] = field(default_factory=dict)
    dead: bool = False
    frozen: bool = False
    leaving: bool = False

    @property
    def running(self) -> bool:
        """Whether any of its code runs."""
        return not self.dead and not self.frozen


@dataclass(eq=False, slots=True)
class Running:
    """A coroutine under way.

    Attributes:
        kind: assign, take, checkpoint or commit.
        task: The coroutine.
        point: Where it stands; None before its first step.
        generation: The member's generation when it began.
    """

    kind: str
    task: Task
    generation: int
    point: Point | None = None

    @property
    def ready(self) -> bool:
        """Whether it may go on."""
        return self.point is None or self.point.ready is None or self.point.ready()


@dataclass(eq=False, slots=True)
class Member:
    """One intake of one process, as a member of its group.

    Attributes:
        generation: The last generation of the group it has heard of.
        owed: Partitions it has been given and has not begun to own.
        assigned: The partitions of its generation.
        reading: The next offset to read of each partition it owns.
        is_astray: Whether the intake has begun to own what it had lost again by then.
        late: What was read before the last revocation and is still under way to the intake.
        main: An assign, take or checkpoint under way.
        side: A commit under way.
        took, uncommitted, untold: What there is to do when nothing is to read.
    """

    process: Process
    group: Group
    intake: Any
    generation: int = 0
    owed: list[Place] | None = None
    assigned: list[Place] = field(default_factory=list)
    reading: dict[Place, int] = field(default_factory=dict)
    is_astray: bool = False
    late: dict[Place, list[Stored]] = field(default_factory=dict)
    main: Running | None = None
    side: Running | None = None
    uncommitted: bool = False
    untold: bool = False

    @property
    def name(self) -> str:
        """The process and the group."""
        return f"{self.process.name}.{self.group.name}"

    @property
    def is_deaf(self) -> bool:
        """Whether the group has gone on without it, and it has not noticed."""
        return self.group.generation != self.generation

    def unread(self, log: SimulatedLog) -> list[Place]:
        """Return the partitions with records to read."""
        ends = log.ends
        return [place for place, at in self.reading.items() if ends.get(place, 0) > at]

    def can_move(self, log: SimulatedLog) -> bool:
        """Return whether a step of it would do anything."""
        if not self.process.running:
            return False
        if self.side is not None:
            return True
        if self.main is not None:
            return self.main.ready
        ends = log.ends
        return (
            self.uncommitted
            or self.untold
            or self.owed is not None
            or self.is_deaf
            or self.process.leaving
            or bool(self.late)
            or any(ends.get(place, 0) > at for place, at in self.reading.items())
        )

    def offsets(self) -> dict[Place, int]:
        """Return what it may commit of what is assigned to it: the client sends no others."""
        named = self.intake.committable()
        return {place: at for place, at in named.items() if place in self.assigned}

    def revoke(self) -> None:
        """Stop owning; what is under way goes on to its end, and so does the commits' timer."""
        self.intake.revoke()
        self.reading = {}
        self.uncommitted = bool(self.assigned)
        self.assigned = []
        self.untold = False

    def started(self, batches: dict[Place, list[Stored]]) -> None:
        """Note what has been handed to the intake."""
        for place, batch in batches.items():
            self.reading[place] = max(self.reading.get(place, 0), batch[-1].offset + 1)
        self.uncommitted = self.untold = True


class Group:
    """A consumer group, with what the broker knows of it.

    Attributes:
        name: The stage's.
        topics: What it reads.
        generation: Counts the rebalances.
        members: The members of this generation.
        committed: Offsets by partition.
    """

    def __init__(self, name: str, topics: Sequence[str], log: SimulatedLog) -> None:
        self.name = name
        self.topics = tuple(topics)
        self.generation = 0
        self.members: list[Member] = []
        self.committed: dict[Place, int] = {}
        self.log = log

    def commit(self, member: Member, generation: int, offsets: dict[Place, int]) -> None:
        """Take offsets; raises FencedError."""
        if generation != self.generation or member not in self.members:
            raise FencedError
        self.committed |= offsets

    def assign(self, members: list[Member]) -> None:
        """Begin a generation: every partition has one owner among `members`, by range."""
        self.generation += 1
        self.members = members
        for member in members:
            member.generation = self.generation
            member.owed = member.assigned = []
        for topic in self.topics:
            places = self.log.places(topic)
            for number, place in enumerate(places):
                if members:
                    owed = members[number * len(members) // len(places)].owed
                    assert owed is not None
                    owed.append(place)
