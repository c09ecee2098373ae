"""Several workers under the real stage runtime and sink, on a log and a database made of lists.

Coroutines are driven by hand: each operation on the log, a group or the database stops at named
points before and after its effect. There the tape chooses who goes on, and whether the one that
stands there is killed, frozen (a zombie: it wakes up when a successor has begun) or given an error.
Nothing else awaits, so the points are every place where a real process can die between two effects.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.core.flow import Stage
from app.runtime.partition import StateError
from app.runtime.ports import Entry, Place, Stored
from app.runtime.sink import SINK_TOPICS, SinkIntake
from app.runtime.stage import LostInputError, StageRuntime
from app.storage.errors import TRANSIENT
from app.storage.sink import HoleError as SinkHoleError
from app.storage.sink import Sink
from tests.simulation.database import APPLIED, ERRORS, LOST, SENT, SimulatedDatabase, SimulatedStore
from tests.simulation.log import Point, SimulatedLog
from tests.simulation.members import FencedError, Group, Member, Process, Running
from tests.simulation.tape import Tape

__all__ = ["Faults", "ObjectionError", "Parts", "SimulatedLog", "World"]

GO, KILL, FREEZE, FAIL = "go", "kill", "freeze", "fail"
SINK = "sink"
RUN = "sim"
LARGEST_BATCH = 12
SENT_NAME = "sent, not applied"
APPLIED_NAMES = ("applied, not acknowledged", APPLIED)

Plan = Callable[[int, str], str]
"""Given the number of a point in this run and its name, returns what happens there."""


class ObjectionError(AssertionError):
    """A run did what it must never do."""


class BrokenError(Exception):
    """The broker's answer to an append: a failure, whatever became of the records."""


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
class Faults:
    """What goes wrong in one run, and how much of it; the tape draws where.

    Attributes:
        plan: Says what happens at each point, in place of the tape.
        kills, freezes, fails: In a thousand points.
        events: In a thousand steps: rebalances, stops, compactions, restored databases, cut reads.
        bad_reads: In a thousand fetches: records given again, or left out.
        budget: How many of all of them at most.
        targets: Points, each with its fate and at which of its passings, besides.
        workers: How many processes.
    """

    plan: Plan | None = None
    kills: int = 0
    freezes: int = 0
    fails: int = 0
    events: int = 0
    bad_reads: int = 5
    budget: int = 0
    targets: tuple[tuple[str, str, int], ...] = ()
    workers: int = 1

    @classmethod
    def none(cls) -> Faults:
        """Return no faults at all."""
        return cls()

    @classmethod
    def drawn(cls, tape: Tape, cell: tuple[str, str] | None = None) -> Faults:
        """Return the kinds of faults of one run: each run has other ones (a swarm)."""
        faults = cls(
            kills=tape.pick((0, 2, 8, 20)),
            freezes=tape.pick((0, 2, 8, 20)),
            fails=tape.pick((0, 0, 2, 8)),
            events=tape.pick((0, 2, 5, 20)),
            budget=tape.randrange(10),
            workers=1 + tape.randrange(3),
        )
        if cell is not None:
            faults.aim(cell, tape)
        return faults

    def aim(self, cell: tuple[str, str], tape: Tape) -> None:
        """Have a point passed and stopped at, with what leads to it where it is rare."""
        point, fate = cell
        rare = [cause for name, cause in RARE if name in point]
        occurrence = 1 if rare or "checkpoint: append states" in point else 1 + tape.randrange(6)
        self.targets = ((point, fate, occurrence),)
        for cause, leads in rare:
            self.targets += ((cause, leads, 1 + tape.randrange(12)),)
            self.targets += ((cause, leads, 1 + tape.randrange(12)),)
            self.workers = 3


RARE = (
    ("assign: append states", ("take: append states: sent, not applied", FREEZE)),
    ("assign: sleep", ("assign: positions", FAIL)),
    ("assign: sleep", ("assign: begin", FAIL)),
    ("take: sleep", ("take: insert", FAIL)),
    ("take: lock: waits", ("take: insert", FREEZE)),
    ("assign: lock: waits", ("assign: move", FREEZE)),
)
"""Points that are seldom passed, and what leads to them."""


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


class World:
    """One log, one database, a group a stage and one for the sink, and several processes.

    Attributes:
        log, database, groups, tally: Theirs.
        members: Of every process that has not ended.
        points: How many points were passed.
        steps: How many steps were taken.
    """

    def __init__(
        self, scenario: Scenario, tape: Tape, faults: Faults, parts: Parts | None = None
    ) -> None:
        self.scenario = scenario
        self.tape = tape
        self.log = CrashingLog(scenario.counts, tape)
        self.database = SimulatedDatabase()
        self.tally = Tally()
        self.points = self.steps = 0
        self._hash = hashlib.sha256()
        self.on_commit: Callable[[], None] = lambda: None
        self.on_restore: Callable[[], None] = lambda: None
        self.trace: list[str] | None = None
        self._parts = parts or Parts()
        self._faults = faults
        self._budget = faults.budget
        self._passings = [passing for _, _, passing in faults.targets]
        self._stages = {stage.name: stage for stage in scenario.stages}
        topics = {stage.name: stage.inputs for stage in scenario.stages} | {SINK: SINK_TOPICS}
        self.groups = {
            name: self._parts.group(name, read, self.log) for name, read in topics.items()
        }
        self.processes: list[Process] = []
        self._lanes = [list(reversed(lane)) for lane in scenario.lanes]
        self._timers: list[tuple[int, Callable[[], None]]] = []
        self._orphans: list[Running] = []
        self._graveyard: list[object] = []  # collecting a suspended coroutine runs its finally
        self._copy = self.database.copy()
        self._allowed: list[type[Exception]] = [BrokenError]
        self._names = 0
        self._turn: list[Member] = []

    @property
    def history(self) -> str:
        """A hash of all that has happened."""
        return self._hash.hexdigest()

    @property
    def members(self) -> list[Member]:
        """Return every member of a process that has not ended."""
        return [each for process in self.processes for each in process.members.values()]

    # --- running -------------------------------------------------------------------------------

    def run(self, limit: int = 25_000) -> None:
        """Run until every group has taken all there is, through whatever the faults do."""
        self._found()
        while self._step():
            self.steps += 1
            if self.steps > limit:
                raise ObjectionError(f"the run did not come to rest: {self._busy()}")

    def successors(self) -> None:
        """Kill every process and let new ones, without faults, take over and come to rest."""
        self._faults, self._budget, self._passings = Faults(), 0, []
        for process in list(self.processes):
            self._kill(process, silently=True)
        self._timers = []
        self._begin(tuple(self.groups))
        self._heal()
        self.run_on()

    def run_on(self, limit: int = 25_000) -> None:
        """Go on until rest."""
        start = self.steps
        while self._step():
            self.steps += 1
            if self.steps > start + limit:
                raise ObjectionError(f"the run did not come to rest: {self._busy()}")

    def _found(self) -> None:
        """Start the processes, each with all groups or with a part of them."""
        names = tuple(self.groups)
        self._begin(names)
        for _ in range(self._faults.workers - 1):
            some = self.tape.randrange(3)
            part = names[some - 1 :: 2] if some else names
            if self.tape.randrange(2):
                self._begin(part)
            else:
                self._later(300, lambda part=part: self._begin(part))  # type: ignore[misc]

    def _step(self) -> bool:
        self._ring_timers()
        if self._faults.events and self._budget > 0 and self.tape.happens(self._faults.events):
            self._event()
        movable = [member for member in self._turn if member.can_move(self.log)]
        lanes = sum(1 for lane in self._lanes if lane)
        orphans = len(self._orphans)
        total = len(movable) + bool(lanes) + bool(orphans)
        if not total:
            return self._wait()
        chosen = self.tape.randrange(total) if total > 1 else 0
        if chosen < len(movable):
            self._move(movable[chosen])
        elif lanes and chosen == len(movable):
            self._feed()
        else:
            self._finish_orphan()
        return True

    def _wait(self) -> bool:
        """Nothing can move: let time pass, or say that this is the end."""
        if self._timers:
            self._ring_timers(everything=True)
            return True
        if self._heal():
            return True
        stuck = [m.name for m in self.members if m.main is not None or m.side is not None]
        if stuck:
            raise ObjectionError(f"a deadlock: {stuck}")
        return False

    def _heal(self) -> bool:
        """Assign the sink anew where a restored database lacks what nobody would read again."""
        group = self.groups[SINK]
        held = self.database.offsets
        if all(held.get(place, 0) >= at for m in group.members for place, at in m.reading.items()):
            return False
        for member in group.members:
            member.revoke()
        group.assign(group.members)
        return True

    def _later(self, within: int, action: Callable[[], None]) -> None:
        self._timers.append((self.steps + self.tape.randrange(within), action))

    def _ring_timers(self, *, everything: bool = False) -> None:
        if not self._timers:
            return
        if everything:
            self.steps = max(self.steps, min(due for due, _ in self._timers))
        due = [action for at, action in self._timers if at <= self.steps]
        self._timers = [timer for timer in self._timers if timer[0] > self.steps]
        for action in due:
            action()

    def _feed(self) -> None:
        """Append a piece of what enters from outside."""
        lane = self.tape.pick([lane for lane in self._lanes if lane])
        for _ in range(1 + self.tape.randrange(4)):
            if lane:
                self._note("feed", self.log.put(lane.pop()))

    def _note(self, *what: object) -> None:
        text = " ".join(map(str, what))
        self._hash.update(text.encode())
        if self.trace is not None:
            self.trace.append(f"{self.steps}: {text}")

    def _busy(self) -> list[str]:
        return [member.name for member in self.members if member.can_move(self.log)]

    # --- members -------------------------------------------------------------------------------

    def _move(self, member: Member) -> None:
        self._turn.remove(member)  # whoever has waited longest comes first
        self._turn.append(member)
        ready = [
            running
            for running in (member.main, member.side)
            if running is not None and running.ready
        ]
        if ready and (member.main is not None or not self.tape.randrange(2)):
            self._drive(member, self.tape.pick(ready))
        elif member.main is None:
            self._begin_something(member)
        else:
            self._drive(member, ready[0])

    def _begin_something(self, member: Member) -> None:
        unread = member.unread(self.log)
        if member.process.leaving:
            self._leave(member)
        elif member.is_deaf and (not unread or self.tape.randrange(4) == 0):
            self._notice(member)
        elif member.owed is not None:
            places = member.owed
            member.owed = None
            committed = {place: member.group.committed.get(place) for place in places}
            self._start(member, "assign", member.intake.assign(committed))
        elif unread and self.tape.randrange(8) < 6:
            self._take(member, unread)
        elif member.untold and (not member.uncommitted or self.tape.randrange(2)):
            member.untold = False
            self._start(member, "checkpoint", member.intake.checkpoint())
        elif member.side is None and member.uncommitted:
            member.uncommitted = False
            self._start(member, "commit", self._commit(member, member.generation))
        elif unread:
            self._take(member, unread)

    def _take(self, member: Member, unread: Sequence[Place]) -> None:
        batches = {}
        for place in unread:
            if len(unread) > 1 and self.tape.randrange(4) == 1:
                continue
            size = LARGEST_BATCH - self.tape.randrange(LARGEST_BATCH)
            at = member.reading[place] + self._bad_read()
            batches[place] = self.log.stored(place, max(at, 0), size)
        batches = {place: batch for place, batch in batches.items() if batch}
        if batches:
            member.started(batches)
            self._start(member, "take", member.intake.take(batches))

    def _bad_read(self) -> int:
        """Return by how much a client misses what is due: some again, or some left out."""
        if (
            self._budget <= 0
            or not self._faults.events
            or not self.tape.happens(self._faults.bad_reads)
        ):
            return 0
        self._budget -= 1
        by = self.tape.pick((-1, -3, 1, 2))
        self.tally.event("records given again" if by < 0 else "records left out")
        if by > 0:
            self._allow(LostInputError, SinkHoleError)
        return by

    def _start(self, member: Member, kind: str, task: Any) -> None:
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
            self.on_commit()
        self.points += 1
        fate = self._fate(name)
        cell = (name, fate)
        self.tally.points[cell] = self.tally.points.get(cell, 0) + 1
        self._note(member.name, name, fate, len(self.tape.drawn))
        if fate == KILL:
            self._kill(member.process)
        elif fate == FREEZE:
            self._freeze(member.process)
        elif fate == FAIL:
            return self._error(member, running.point.name)
        return None

    def _fate(self, name: str) -> str:
        if self._faults.plan is not None:
            return self._faults.plan(self.points, name)
        return self._aimed(name) or (self._drawn_fate(name) if self._budget > 0 else GO)

    def _aimed(self, name: str) -> str | None:
        """Return what a target has in mind for this passing of a point."""
        for number, (point, fate, _) in enumerate(self._faults.targets):
            if point == name and self._passings[number] > 0:
                self._passings[number] -= 1
                if self._passings[number] == 0:
                    return fate
        return None

    def _drawn_fate(self, name: str) -> str:
        faults = self._faults
        bounds = (
            (faults.kills, KILL),
            (faults.kills + faults.freezes, FREEZE),
            (faults.kills + faults.freezes + faults.fails * can_fail(name), FAIL),
        )
        value = self.tape.randrange(1000)
        for bound, fate in bounds:
            if 0 < value <= bound:
                self._budget -= 1
                return fate
        return GO

    def _error(self, member: Member, point: str) -> Exception:
        if member.group.name != SINK:
            return BrokenError(point)
        return LOST if point in (SENT, APPLIED) else self.tape.pick(ERRORS)

    def _finish(self, member: Member, running: Running, value: Any) -> None:
        if running.kind == "commit":
            member.side = None
        else:
            member.main = None
        if running.kind == "take":
            member.uncommitted = member.untold = True
        is_current = running.generation == member.generation and member.owed is None
        if running.kind == "assign" and is_current:
            member.reading = dict(value)
            member.uncommitted = member.untold = True
        self._note(member.name, running.kind, "done")

    def _fenced(self, member: Member, running: Running) -> None:
        member.side = None
        self.tally.event("commits fenced")
        if running.generation == member.generation and member.is_deaf:
            self._notice(member)

    def _raised(self, member: Member, running: Running, error: Exception) -> None:
        """An intake raised: the shell ends the process (exit 70)."""
        if not isinstance(error, tuple(self._allowed)):
            raise ObjectionError(f"{member.name} {running.kind}: {error!r}") from error
        self.tally.event(f"ended by {type(error).__name__}")
        if running.kind == "commit":
            member.side = None
        else:
            member.main = None
        if self._parts.ends_on_errors:
            self._kill(member.process)

    async def _commit(self, member: Member, generation: int) -> None:
        offsets = member.intake.committable()
        if not offsets:
            return
        await Point("offsets sent, not applied")
        member.group.commit(member, generation, offsets)
        await Point("offsets applied, not acknowledged")

    def _allow(self, *errors: type[Exception]) -> None:
        self._allowed += [error for error in errors if error not in self._allowed]

    # --- groups --------------------------------------------------------------------------------

    def _begin(self, names: tuple[str, ...]) -> None:
        """Start a process; it joins its groups."""
        self._names += 1
        process = Process(f"worker-{self._names}", names)
        self.processes.append(process)
        for name in names:
            member = Member(process, self.groups[name], self._intake(process, name))
            process.members[name] = member
            self._turn.append(member)
            self._rebalance(self.groups[name], member)

    def _intake(self, process: Process, name: str) -> Any:
        if name != SINK:
            return self._parts.runtime(self._stages[name], self.log, RUN, process.name)
        intake = self._parts.intake(None, self.log, lambda _: None)  # type: ignore[arg-type]
        store = self._parts.store(self.database, process)
        intake._sink = self._parts.sink(store, sleep=_sleep, pauses=_pauses)
        return intake

    def _rebalance(self, group: Group, joining: Member | None = None) -> None:
        """Begin a generation: who hears of it revokes; the frozen and the deaf go on as before."""
        hearing = []
        for member in group.members:
            process = member.process
            if process.dead or member is joining:
                continue
            if process.frozen or (self._budget > 0 and self.tape.randrange(6) == 1):
                continue
            self._hear(member)
            hearing.append(member)
        if joining is not None:
            hearing.append(joining)
        self._note("rebalance", group.name, [member.name for member in hearing])
        group.assign(hearing)

    def _hear(self, member: Member) -> None:
        """Revoke, perhaps after a last commit."""
        if not self.tape.randrange(2):
            member.group.commit(member, member.generation, member.intake.committable())
        member.revoke()

    def _notice(self, member: Member) -> None:
        """A member finds out that its group has gone on without it, and joins again."""
        self.tally.event("zombies that found out")
        member.revoke()
        self._rebalance(member.group, member)

    def _leave(self, member: Member) -> None:
        """Leave a group cleanly: commit, write down the progress, go."""
        if member.untold:
            member.untold = False
            self._start(member, "checkpoint", member.intake.checkpoint())
            return
        if not member.is_deaf:
            member.group.commit(member, member.generation, member.intake.committable())
        self._remove(member)
        if not member.process.members:
            self._end(member.process)
        if not member.is_deaf:
            self._rebalance(member.group)

    def _remove(self, member: Member) -> None:
        del member.process.members[member.group.name]
        self._turn.remove(member)
        member.group.members = [each for each in member.group.members if each is not member]

    # --- faults --------------------------------------------------------------------------------

    def _end(self, process: Process) -> None:
        process.dead = True
        self.processes.remove(process)
        self._graveyard.append(process)
        self._later(200, lambda: self._begin(process.stages))

    def _kill(self, process: Process, *, silently: bool = False) -> None:
        """End a process on the spot: what it had sent may arrive late, or never."""
        if process.dead:
            return
        orphans = not silently and self.tape.randrange(3) == 1
        for member in process.members.values():
            point = member.main.point if member.main is not None else None
            if orphans and member.main and point and point.name.endswith(SENT_NAME):
                self._orphans.append(member.main)
            self._turn.remove(member)
        committing = [running for running in self._orphans if running.point.name == SENT]  # type: ignore[union-attr]
        self.database.lose(process, but_committing=bool(committing))
        process.dead = True
        self.processes.remove(process)
        self._graveyard.append(process)
        if not silently:
            self._later(150, lambda: self._expel(process))
            self._later(250, lambda: self._begin(process.stages))

    def _finish_orphan(self) -> None:
        """What a dead process had sent is applied late, or never."""
        running = self._orphans.pop(0)
        self._graveyard.append(running)
        try:
            while not running.task.send(None).name.endswith(APPLIED_NAMES):
                pass
        except (StopIteration, *TRANSIENT):
            return
        self.tally.event("effects of the dead")
        if running.point is not None and running.point.name == SENT:
            self.on_commit()

    def _freeze(self, process: Process) -> None:
        process.frozen = True
        self._later(150, lambda: self._expel(process))
        self._later(self.tape.pick((200, 600, 5000)), lambda: self._thaw(process))

    def _thaw(self, process: Process) -> None:
        if not process.dead:
            process.frozen = False
            self.tally.event("zombies woken")

    def _expel(self, process: Process) -> None:
        """The groups find out that a process is dead or frozen."""
        if process.running:
            return
        for member in process.members.values():
            if member in member.group.members:
                self._rebalance(member.group)

    def _event(self) -> None:
        self._budget -= 1
        happening = self.tape.pick(
            (self._shuffle, self._compact, self._stop, self._restore, self._cut_reads)
        )
        happening()

    def _shuffle(self) -> None:
        """Move partitions between the members as they are."""
        self.tally.event("rebalances")
        self._rebalance(self.tape.pick(list(self.groups.values())))

    def _compact(self) -> None:
        self.tally.event("compactions")
        for name in self._stages:
            for place in self.log.places(f"state-{name}"):
                if self.tape.randrange(2):
                    self.log.compact(place)

    def _stop(self) -> None:
        """Stop a process cleanly; what it has under way ends first, or is cancelled."""
        running = [process for process in self.processes if process.running and not process.leaving]
        if not running:
            return
        self.tally.event("clean stops")
        process = self.tape.pick(running)
        process.leaving = True
        for member in process.members.values():
            member.untold = True
            if member.main is not None and self.tape.randrange(2):
                self._cancel(member, member.main)

    def _cancel(self, member: Member, running: Running) -> None:
        try:
            running.task.throw(asyncio.CancelledError())
        except (asyncio.CancelledError, StopIteration):
            pass
        else:
            raise ObjectionError(f"{member.name} went on after it was cancelled")
        self.tally.event("takes cancelled")
        member.main = None

    def _restore(self) -> None:
        """Take the place of the database by an older copy of it."""
        if self.tape.randrange(2) == 0:
            self._copy = self.database.copy()
            return
        self.tally.event("databases restored")
        self._allow(SinkHoleError)
        self.database.restore(self._copy)
        self.on_restore()

    def _cut_reads(self) -> None:
        self.tally.event("reads cut short")
        self._allow(StateError)
        self.log.cuts += 1


def can_fail(name: str) -> bool:
    """Return whether an error can come at a point: from the broker, or from the database."""
    return "append" in name or name.split(": ", 1)[1] in FALLIBLE


FALLIBLE = ("positions", "begin", "lock", "insert", "move", SENT, APPLIED)


async def _sleep(_: float) -> None:
    await Point("sleep")


def _pauses() -> Iterator[float]:
    while True:
        yield 0.0
