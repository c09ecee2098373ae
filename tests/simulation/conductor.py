"""A member enters; it goes on to its next point, and what comes over it there leaves its mark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.runtime.ports import Place
from tests.simulation.database import APPLIED
from tests.simulation.faults import COMMITTED, COMMITTING, FAIL, LOSSES
from tests.simulation.log import Point
from tests.simulation.members import CommitError, FencedError, Member, Running
from tests.simulation.parts import ObjectionError
from tests.simulation.points import FREEZE, KILL, NAMED

if TYPE_CHECKING:
    from tests.simulation.world import World

LARGEST_BATCH = 12
VAIN_STARTS = 3


class Conductor:
    """Drives the coroutines of a world's members by hand, from point to point."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tape = world.tape
        self._log = world.log
        self._fates = world.fates
        self._vain = 0
        self._progress: object = None

    def hope(self) -> None:
        """Forget how often starting again has led to nothing."""
        self._vain, self._progress = 0, None

    def move(self, member: Member) -> None:
        """Let a member do something that it can do."""
        self._world.turn.remove(member)  # whoever has waited longest comes first
        self._world.turn.append(member)
        ready = [
            running
            for running in (member.main, member.side)
            if running is not None and running.ready
        ]
        if member.side is None and member.uncommitted and self._tape.randrange(8) == 1:
            self._start_commit(member)
        elif ready and (member.main is not None or not self._tape.randrange(2)):
            self._drive(member, self._tape.pick(ready))
        elif member.main is None:
            self._begin_something(member)
        else:
            self._drive(member, ready[0])

    def _start_commit(self, member: Member) -> None:
        member.uncommitted = False
        self.start(member, "commit", self._commit(member, member.generation))

    def _begin_something(self, member: Member) -> None:
        unread = member.unread(self._log)
        if member.process.leaving:
            self._world.memberships.leave(member)
        elif member.late and self._tape.randrange(6) == 1:
            self._take_late(member)
        elif member.is_deaf and (not unread or self._tape.randrange(4) == 0):
            self._world.memberships.notice(member)
        elif member.owed is not None:
            places = member.owed
            member.owed = None
            committed = {place: member.group.committed.get(place) for place in places}
            self.start(member, "assign", member.intake.assign(committed))
        elif unread and self._tape.randrange(8) < 6:
            self._take(member, unread)
        elif member.untold and (not member.uncommitted or self._tape.randrange(2)):
            member.untold = False
            self.start(member, "checkpoint", member.intake.checkpoint())
        elif member.side is None and member.uncommitted:
            self._start_commit(member)
        elif unread:
            self._take(member, unread)

    def _take(self, member: Member, unread: Sequence[Place]) -> None:
        batches = {}
        first = self._tape.randrange(len(unread)) if len(unread) > 1 else 0
        for place in (*unread[first:], *unread[:first]):  # a client's order is its own
            if len(unread) > 1 and self._tape.randrange(4) == 1:
                continue
            size = LARGEST_BATCH - self._tape.randrange(LARGEST_BATCH)
            # Where retention took what another had stored for it, a client goes on at the first.
            member.reading[place] = max(member.reading[place], self._log.starts.get(place, 0))
            at = member.reading[place] + self._fates.bad_read()
            batches[place] = self._log.stored(place, max(at, 0), size)
        batches = {place: batch for place, batch in batches.items() if batch}
        if batches:
            member.started(batches)
            self.start(member, "take", member.intake.take(batches))

    def _take_late(self, member: Member) -> None:
        """Hand over what was read before a revocation, after it."""
        late, member.late = member.late, {}
        # What stands behind the next one due would be a hole, and is another fault.
        known = {p: b for p, b in late.items() if b[0].offset <= member.reading.get(p, b[0].offset)}
        if known and not member.is_astray:
            self._world.tally.event("batches handed over after a revocation")
            self.start(member, "take", member.intake.take(known))

    def start(self, member: Member, kind: str, task: Any) -> None:
        """Begin a coroutine of a member, up to its first point."""
        running = Running(kind, task, member.generation)
        if kind == "commit":
            member.side = running
        else:
            member.main = running
        self._drive(member, running)

    def _drive(self, member: Member, running: Running) -> None:
        """Let a coroutine go on to its next point, and let that point's fate come over it."""
        error: BaseException | None = None
        while True:
            try:
                if error is None:
                    running.point = running.task.send(None)
                else:
                    thrown, error = error, None
                    running.point = running.task.throw(thrown)
            except StopIteration as done:
                self._finish(member, running, done.value)
                return
            except FencedError:
                self._fenced(member, running)
                return
            except Exception as raised:  # noqa: BLE001 - whatever it is ends a process
                self._raised(member, running, raised)
                return
            error = self._pass(member, running)
            if error is None:
                return

    def _pass(self, member: Member, running: Running) -> Exception | None:
        """Pass a point; return an error to give to who stands there."""
        assert running.point is not None
        name = f"{running.kind}: {running.point.name}"
        if running.point.name == APPLIED:
            self._world.on_commit()
        if name not in NAMED:
            raise ObjectionError(f"{name!r} is a point that tests/simulation/points.py leaves out")
        self._world.points += 1
        fate = self._fates.fate(self._world.points, name)
        cell = (name, fate)
        self._world.tally.points[cell] = self._world.tally.points.get(cell, 0) + 1
        self._world.note(member.name, name, fate, len(self._tape.drawn))
        if fate == KILL:
            self._world.deaths.kill(member.process)
        elif fate == FREEZE:
            self._world.deaths.freeze(member.process)
        elif fate == FAIL:
            return self._fates.error(member.group.name, running.point.name)
        return None

    def _finish(self, member: Member, running: Running, value: Any) -> None:
        if running.kind == "commit":
            member.side = None
        else:
            member.main = None
        if running.kind == "take":
            member.uncommitted = member.untold = True
        if running.kind == "checkpoint":
            member.uncommitted = True  # it may have written what was ahead
        is_current = running.generation == member.generation and member.owed is None
        if running.kind == "assign" and is_current:
            member.reading = dict(value)
            member.uncommitted = member.untold = True
        if running.kind == "assign":
            member.is_astray = not is_current
            self._note_claims(member)
        self._world.note(member.name, running.kind, "done")

    def _note_claims(self, member: Member) -> None:
        """Note that what stands before a claim has been loaded, and its winners written again."""
        for partition in getattr(member.intake, "_partitions", {}).values():
            place = Place(f"state-{member.group.name}", partition.number)
            self._world.loaded[place] = max(partition.token, self._world.loaded.get(place, 0))

    def _fenced(self, member: Member, running: Running) -> None:
        member.side = None
        self._world.tally.event("commits fenced")
        if running.generation == member.generation and member.is_deaf:
            self._world.memberships.notice(member)

    def _raised(self, member: Member, running: Running, error: Exception) -> None:
        """An intake raised: the shell ends the process (exit 70)."""
        if not self._is_expected(member, running, error):
            raise ObjectionError(f"{member.name} {running.kind}: {error!r}") from error
        point = running.point.name if running.point is not None else ""
        self._world.ends.append((member.name, point, error))
        if isinstance(error, CommitError) and self._tape.randrange(2):
            member.side = None
            member.uncommitted = True
            self._world.tally.event("commits tried again")
            return
        self._world.tally.event(f"ended by {type(error).__name__}")
        if running.kind == "commit":
            member.side = None
        else:
            member.main = None
        if self._world.parts.ends_on_errors:
            for_good = isinstance(error, self._world.fatal) and self._gave_up()
            self._world.deaths.kill(member.process, again=not for_good)

    def _gave_up(self) -> bool:
        """Return whether starting again has led to nothing often enough."""
        moved = self._world.progress()
        self._vain = 0 if moved != self._progress else self._vain + 1
        self._progress = moved
        return self._vain >= VAIN_STARTS

    def _is_expected(self, member: Member, running: Running, error: Exception) -> bool:
        """Return whether an error was made to happen."""
        if isinstance(error, self._world.fatal):
            return True
        if isinstance(error, LOSSES):
            # A zombie may miss what retention has taken since its group went on; else only reads
            # that were made to leave something out may.
            behind = member.is_deaf and bool(self._log.starts)
            return behind or (running.kind != "assign" and isinstance(error, self._fates.allowed))
        return isinstance(error, self._fates.allowed)

    async def _commit(self, member: Member, generation: int) -> None:
        offsets = member.offsets()
        if not offsets:
            return
        await Point(COMMITTING)
        member.group.commit(member, generation, offsets)
        await Point(COMMITTED)
