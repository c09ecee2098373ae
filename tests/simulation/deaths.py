"""A process enters; it is stopped, killed or frozen, and what it had sent arrives late or never."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from app.storage.errors import TRANSIENT
from tests.simulation.database import APPLIED, SENT
from tests.simulation.members import FencedError, Member, Process, Running
from tests.simulation.parts import ObjectionError

if TYPE_CHECKING:
    from tests.simulation.world import World

SENT_NAME = "sent, not applied"
IN_PART = "applied in part"
APPLIED_NAMES = ("applied, not acknowledged", APPLIED)


class Deaths:
    """Ends the processes of a world.

    Attributes:
        orphans: What dead processes had sent, with the step at which it may arrive.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._tape = world.tape
        self.orphans: list[tuple[int, Running]] = []
        self._graveyard: list[object] = []  # collecting a suspended coroutine runs its finally

    def end(self, process: Process) -> None:
        """End a process that has left its groups; another one comes."""
        process.dead = True
        self._world.processes.remove(process)
        self._graveyard.append(process)
        self._world.later(200, lambda: self._world.memberships.begin(process.stages))

    def kill(self, process: Process, *, silently: bool = False, again: bool = True) -> None:
        """End a process on the spot: what it had sent may arrive late, or never."""
        if process.dead:
            return
        orphans = [] if silently or self._tape.randrange(3) != 1 else _sent(process)
        for running in orphans:
            late = self._tape.pick((20, 200, 600))
            self.orphans.append((self._world.steps + self._tape.randrange(late), running))
        for member in process.members.values():
            self._world.turn.remove(member)
        committing = any(running.point.name == SENT for running in orphans)  # type: ignore[union-attr]
        self._world.database.lose(process, but_committing=committing)
        process.dead = True
        self._world.processes.remove(process)
        self._graveyard.append(process)
        if not silently:
            self._world.later(150, lambda: self._world.memberships.expel(process))
            if again:
                self._world.later(250, lambda: self._world.memberships.begin(process.stages))

    def finish_orphan(self) -> None:
        """What a dead process had sent is applied late, or never."""
        first = min(self.orphans, key=lambda orphan: orphan[0])
        self.orphans.remove(first)
        _, running = first
        self._graveyard.append(running)
        try:
            name = running.task.send(None).name
            if name.endswith(IN_PART):
                name = running.task.send(None).name
        except (StopIteration, FencedError, *TRANSIENT):
            return
        if not name.endswith(APPLIED_NAMES):
            return  # refused: what it would do next it does no more
        self._world.tally.event("effects of the dead")
        if running.point is not None and running.point.name == SENT:
            self._world.on_commit()

    def freeze(self, process: Process) -> None:
        """Stop a process as by SIGSTOP; its groups go on, and it wakes up later."""
        process.frozen = True
        self._world.later(150, lambda: self._world.memberships.expel(process))
        self._world.later(self._tape.pick((200, 600, 5000)), lambda: self._thaw(process))

    def _thaw(self, process: Process) -> None:
        if not process.dead:
            process.frozen = False
            self._world.tally.event("zombies woken")

    def stop(self) -> None:
        """Stop a process cleanly; what it has under way ends first, or is cancelled."""
        running = [
            process for process in self._world.processes if process.running and not process.leaving
        ]
        if not running:
            return
        self._world.tally.event("clean stops")
        process = self._tape.pick(running)
        process.leaving = True
        for member in process.members.values():
            member.untold = True
            if member.main is not None and self._tape.randrange(2):
                self._cancel(member, member.main)

    def _cancel(self, member: Member, running: Running) -> None:
        try:
            running.task.throw(asyncio.CancelledError())
        except (asyncio.CancelledError, StopIteration):
            pass
        else:
            raise ObjectionError(f"{member.name} went on after it was cancelled")
        self._world.tally.event("takes cancelled")
        member.main = None


def _sent(process: Process) -> list[Running]:
    """Return what a process has sent that has not been applied."""
    under_way = [each for m in process.members.values() for each in (m.main, m.side)]
    return [
        running
        for running in under_way
        if running and running.point and running.point.name.endswith(SENT_NAME)
    ]
