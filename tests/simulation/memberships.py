"""Processes enter the groups of a world, hear of rebalances or don't, and leave."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.core.events import Inbound, Output
from app.core.flow import Machine, Stage
from app.runtime.ports import Place
from tests.simulation.faults import StepError
from tests.simulation.log import Point
from tests.simulation.members import Group, Member, Process
from tests.simulation.retention import SINK

if TYPE_CHECKING:
    from tests.simulation.world import World

RUN = "sim"


class Memberships:
    """Starts the processes of a world, and moves partitions between their members."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tape = world.tape
        self._log = world.log
        self._fates = world.fates
        self._names = 0

    def found(self) -> None:
        """Start the processes, each with all groups or with a part of them."""
        names = tuple(self._world.groups)
        self.begin(names)
        for _ in range(self._fates.faults.workers - 1):
            some = self._tape.randrange(3)
            part = names[some - 1 :: 2] if some else names
            if self._tape.randrange(2):
                self.begin(part)
            else:
                self._world.later(300, lambda part=part: self.begin(part))  # type: ignore[misc]

    def begin(self, names: tuple[str, ...]) -> None:
        """Start a process; it joins its groups."""
        self._names += 1
        process = Process(f"worker-{self._names}", names)
        self._world.processes.append(process)
        for name in names:
            member = Member(process, self._world.groups[name], self._intake(process, name))
            process.members[name] = member
            self._world.turn.append(member)
            self.rebalance(self._world.groups[name], member)

    def _intake(self, process: Process, name: str) -> Any:
        if name != SINK:
            stage = self._world.stages[name]
            if self._fates.faults.breaks:
                stage = replace(stage, machine=functools.partial(self._breakable, stage))
            unwritten = self._tape.pick((0, 4, 1_000))
            return self._world.parts.runtime(
                stage, self._log, RUN, process.name, unwritten=unwritten
            )
        intake = self._world.parts.intake(None, self._log, lambda _: None)  # type: ignore[arg-type]
        store = self._world.parts.store(self._world.database, process)
        intake._sink = self._world.parts.sink(store, sleep=_sleep, pauses=_pauses)
        return intake

    def _breakable(self, stage: Stage, key: str, state: Any) -> Machine:
        """Return a machine whose step raises where the code is wrong."""
        machine = stage.machine(key, state)
        step = machine.take

        def take(inbound: Inbound) -> list[Output]:
            place = Place(inbound.topic, inbound.partition)
            if self._world.broken == (stage.name, place, inbound.offset):
                raise StepError(f"{stage.name} could not take {place} {inbound.offset}")
            return step(inbound)

        machine.take = take  # type: ignore[method-assign]
        return machine

    def rebalance(self, group: Group, joining: Member | None = None) -> None:
        """Begin a generation: who hears of it revokes; the frozen and the deaf go on as before."""
        hearing = []
        for member in group.members:
            process = member.process
            if process.dead or member is joining:
                continue
            if process.frozen or (self._fates.budget > 0 and self._tape.randrange(6) == 1):
                continue
            self._hear(member)
            hearing.append(member)
        if joining is not None:
            hearing.append(joining)
        self._world.note("rebalance", group.name, [member.name for member in hearing])
        group.assign(hearing)

    def _hear(self, member: Member) -> None:
        """Revoke, perhaps after a last commit."""
        if not self._tape.randrange(2):
            member.group.commit(member, member.generation, member.offsets())
        self._revoke(member)

    def _revoke(self, member: Member) -> None:
        """Let a member forget its partitions; what it has read may be under way to it still."""
        if self._fates.budget > 0 and self._fates.faults.events and self._tape.randrange(10) == 1:
            self.read_ahead(member)
        member.revoke()

    def read_ahead(self, member: Member) -> None:
        """Let a member have read what it takes only after its partitions are another's."""
        read = {place: self._log.stored(place, at, 3) for place, at in member.reading.items()}
        member.late = {place: batch for place, batch in read.items() if batch}

    def notice(self, member: Member) -> None:
        """A member finds out that its group has gone on without it, and joins again."""
        self._world.tally.event("zombies that found out")
        self._revoke(member)
        self.rebalance(member.group, member)

    def leave(self, member: Member) -> None:
        """Leave a group cleanly: commit, write down the progress, go."""
        if member.untold:
            member.untold = False
            self._world.conductor.start(member, "checkpoint", member.intake.checkpoint())
            return
        if not member.is_deaf:
            member.group.commit(member, member.generation, member.offsets())
        self._remove(member)
        if not member.process.members:
            self._world.deaths.end(member.process)
        if not member.is_deaf:
            self.rebalance(member.group)

    def _remove(self, member: Member) -> None:
        del member.process.members[member.group.name]
        self._world.turn.remove(member)
        member.group.members = [each for each in member.group.members if each is not member]

    def expel(self, process: Process) -> None:
        """The groups find out that a process is dead or frozen."""
        if process.running:
            return
        for member in process.members.values():
            if member in member.group.members:
                self.rebalance(member.group)

    def heal(self) -> bool:
        """Assign the sink anew where a restored database lacks what nobody would read again."""
        group = self._world.groups[SINK]
        held = self._world.database.offsets
        if all(held.get(place, 0) >= at for m in group.members for place, at in m.reading.items()):
            return False
        for member in group.members:
            member.revoke()
        group.assign(group.members)
        return True


async def _sleep(_: float) -> None:
    await Point("sleep")


def _pauses() -> Iterator[float]:
    while True:
        yield 0.0
