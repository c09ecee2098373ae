"""Several workers under the real stage runtime and sink, on a log and a database made of lists.

Coroutines are driven by hand: each operation on the log, a group or the database stops at named
points before and after its effect. There the tape chooses who goes on, and whether the one that
stands there is killed, frozen (a zombie: it wakes up when a successor has begun) or given an error.
Nothing else awaits, so the points are every place where a real process can die between two effects.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.core.events import Inbound, Output
from app.core.flow import Machine, Stage
from app.runtime.partition import StateError
from app.runtime.ports import Entry, Place, Stored
from app.runtime.sink import SINK_TOPICS, SinkIntake
from app.runtime.stage import LostInputError, StageRuntime
from app.storage.errors import TRANSIENT
from app.storage.sink import HoleError as SinkHoleError
from app.storage.sink import Sink
from tests.simulation.database import APPLIED, ERRORS, LOST, SENT, SimulatedDatabase, SimulatedStore
from tests.simulation.log import Point, SimulatedLog
from tests.simulation.members import (
    CommitError,
    FencedError,
    Group,
    Member,
    Process,
    Running,
)
from tests.simulation.points import FREEZE, KILL, NAMED
from tests.simulation.retention import unneeded
from tests.simulation.tape import Tape

__all__ = ["Faults", "ObjectionError", "Parts", "SimulatedLog", "World"]

GO, FAIL = "go", "fail"
SINK = "sink"
RUN = "sim"
LARGEST_BATCH = 12
SENT_NAME = "sent, not applied"
IN_PART = "applied in part"
APPLIED_NAMES = ("applied, not acknowledged", APPLIED)
COMMITTING = "offsets sent, not applied"
COMMITTED = "offsets applied, not acknowledged"

LOSSES = (LostInputError, SinkHoleError)

VAIN_STARTS = 3

Plan = Callable[[int, str], str]
"""Given the number of a point in this run and its name, returns what happens there."""


class ObjectionError(AssertionError):
    """A run did what it must never do."""


class BrokenError(Exception):
    """The broker's answer to an append: a failure, whatever became of the records."""


class StepError(Exception):
    """A machine's step raised, as wrong code would."""


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
        events: In a thousand steps: rebalances, stops, compactions, restored databases, cut reads,
            records taken by retention, wrong code.
        bad_reads: In a thousand fetches: records given again, or left out.
        retention: Whether the log loses what nobody needs; compaction then leaves its head alone,
            as far as nobody has loaded what supersedes it.
        breaks: Whether a step may raise until its code is mended.
        only: Whether nothing but quiet hand-overs happens, and records that come again.
        budget: How many of all of them at most.
        targets: Points, each with its fate and at which of its passings, besides.
        workers: How many processes.
    """

    plan: Plan | None = None
    kills: int = 0
    freezes: int = 0
    fails: int = 0
    events: int = 0
    bad_reads: int = 0
    retention: bool = False
    breaks: bool = False
    only: bool = False
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
            retention=bool(tape.randrange(2)),
            breaks=tape.randrange(4) == 1,
            budget=tape.randrange(10),
            workers=1 + tape.randrange(3),
        )
        if faults.events:
            faults.bad_reads = 5
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
        loaded: The newest claim that was loaded to its end, by partition of a state topic.
        broken: The stage whose code is wrong, with the record at which it raises.
        ends: Every member whose error ended a process, with the point it had passed, and the error.
        copy: The older copy of the database.
        fatal: Errors after which a process is started again only as long as that leads further.
        poison: Where foreign bytes stand among our own records.
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
        self.loaded: dict[Place, int] = {}
        self.broken: tuple[str, Place, int] | None = None
        self.fatal: tuple[type[Exception], ...] = ()
        self.poison: dict[Place, int] = {}
        self._vain = 0
        self._progress: object = None
        self.ends: list[tuple[str, str, Exception]] = []
        self._hash = hashlib.sha256()
        self.on_commit: Callable[[], None] = lambda: None
        self.on_restore: Callable[[], None] = lambda: None
        self.trace: list[str] | None = None
        self._parts = parts or Parts()
        self._faults = faults
        self._budget = faults.budget
        self._passings = [passing for _, _, passing in faults.targets]
        self.stages = {stage.name: stage for stage in scenario.stages}
        topics = {stage.name: stage.inputs for stage in scenario.stages} | {SINK: SINK_TOPICS}
        self.groups = {
            name: self._parts.group(name, read, self.log) for name, read in topics.items()
        }
        self.processes: list[Process] = []
        self._lanes = [list(reversed(lane)) for lane in scenario.lanes]
        self._timers: list[tuple[int, Callable[[], None]]] = []
        self._orphans: list[tuple[int, Running]] = []
        self._graveyard: list[object] = []  # collecting a suspended coroutine runs its finally
        self.copy = self.database.copy()
        self._allowed: list[type[Exception]] = [BrokenError, CommitError]
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
        self.age()
        self.mend()
        self._faults, self._budget, self._passings = Faults(), 0, []
        for process in list(self.processes):
            self._kill(process, silently=True)
        self._timers = []
        self._begin(tuple(self.groups))
        self._heal()
        self.run_on()

    def inject(self, place: Place, key: bytes, value: bytes, within: int) -> None:
        """Have a foreign writer append to one of our own topics, within so many steps."""

        def write() -> None:
            self.poison[place] = self.log.put(Entry(place.topic, key, value, place.partition))

        self._later(within, write)

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
        orphans = any(due <= self.steps for due, _ in self._orphans)
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
        if self._orphans:
            self._finish_orphan()
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
        if member.side is None and member.uncommitted and self.tape.randrange(8) == 1:
            self._start_commit(member)
        elif ready and (member.main is not None or not self.tape.randrange(2)):
            self._drive(member, self.tape.pick(ready))
        elif member.main is None:
            self._begin_something(member)
        else:
            self._drive(member, ready[0])

    def _start_commit(self, member: Member) -> None:
        member.uncommitted = False
        self._start(member, "commit", self._commit(member, member.generation))

    def _begin_something(self, member: Member) -> None:
        unread = member.unread(self.log)
        if member.process.leaving:
            self._leave(member)
        elif member.late and self.tape.randrange(6) == 1:
            self._take_late(member)
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
            self._start_commit(member)
        elif unread:
            self._take(member, unread)

    def _take(self, member: Member, unread: Sequence[Place]) -> None:
        batches = {}
        first = self.tape.randrange(len(unread)) if len(unread) > 1 else 0
        for place in (*unread[first:], *unread[:first]):  # a client's order is its own
            if len(unread) > 1 and self.tape.randrange(4) == 1:
                continue
            size = LARGEST_BATCH - self.tape.randrange(LARGEST_BATCH)
            at = member.reading[place] + self._bad_read()
            batches[place] = self.log.stored(place, max(at, 0), size)
        batches = {place: batch for place, batch in batches.items() if batch}
        if batches:
            member.started(batches)
            self._start(member, "take", member.intake.take(batches))

    def _take_late(self, member: Member) -> None:
        """Hand over what was read before a revocation, after it."""
        late, member.late = member.late, {}
        # What stands behind the next one due would be a hole, and is another fault.
        known = {p: b for p, b in late.items() if b[0].offset <= member.reading.get(p, b[0].offset)}
        if known and not member.is_astray:
            self.tally.event("batches handed over after a revocation")
            self._start(member, "take", member.intake.take(known))

    def _bad_read(self) -> int:
        """Return by how much a client misses what is due: some again, or some left out."""
        wanted = self._budget > 0 and self._faults.bad_reads
        if not wanted or not self.tape.happens(self._faults.bad_reads):
            return 0
        self._budget -= 1
        by = self.tape.pick((-1, -3) if self._faults.only else (-1, -3, 1, 2))
        self.tally.event("records given again" if by < 0 else "records left out")
        if by > 0:
            self._allow(*LOSSES)
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
        if name not in NAMED:
            raise ObjectionError(f"{name!r} is a point that tests/simulation/points.py leaves out")
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
        if point in (COMMITTING, COMMITTED):
            return CommitError(point)
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
        if running.kind == "assign":
            member.is_astray = not is_current
            self._note_claims(member)
        self._note(member.name, running.kind, "done")

    def _note_claims(self, member: Member) -> None:
        """Note that what stands before a claim has been loaded, and its winners written again."""
        for partition in getattr(member.intake, "_partitions", {}).values():
            place = Place(f"state-{member.group.name}", partition.number)
            self.loaded[place] = max(partition.token, self.loaded.get(place, 0))

    def _fenced(self, member: Member, running: Running) -> None:
        member.side = None
        self.tally.event("commits fenced")
        if running.generation == member.generation and member.is_deaf:
            self._notice(member)

    def _raised(self, member: Member, running: Running, error: Exception) -> None:
        """An intake raised: the shell ends the process (exit 70)."""
        if not self._is_expected(member, running, error):
            raise ObjectionError(f"{member.name} {running.kind}: {error!r}") from error
        point = running.point.name if running.point is not None else ""
        self.ends.append((member.name, point, error))
        if isinstance(error, CommitError) and self.tape.randrange(2):
            member.side = None
            member.uncommitted = True
            self.tally.event("commits tried again")
            return
        self.tally.event(f"ended by {type(error).__name__}")
        if running.kind == "commit":
            member.side = None
        else:
            member.main = None
        if self._parts.ends_on_errors:
            for_good = isinstance(error, self.fatal) and self._gave_up()
            self._kill(member.process, again=not for_good)

    def _gave_up(self) -> bool:
        """Return whether starting again has led to nothing often enough."""
        moved = self.progress()
        self._vain = 0 if moved != self._progress else self._vain + 1
        self._progress = moved
        return self._vain >= VAIN_STARTS

    def progress(self) -> tuple[dict[Place, int], dict[Any, int], list[dict[Place, int]]]:
        """Return how far the log's records, the database and the groups have come."""
        ends = {p: at for p, at in self.log.ends.items() if not p.topic.startswith("state-")}
        committed = [dict(group.committed) for group in self.groups.values()]
        return ends, dict(self.database.offsets), committed

    def start_again(self, names: tuple[str, ...] = ()) -> None:
        """Start one process, with everything or some groups, and go on until rest."""
        self._vain, self._progress = 0, None
        for process in list(self.processes):
            self.end(process)
        self._timers = []
        self._begin(names or tuple(self.groups))
        self.run_on()

    def end(self, process: Process) -> None:
        """End a process on the spot; nobody starts it again."""
        self._kill(process, silently=True)

    def _is_expected(self, member: Member, running: Running, error: Exception) -> bool:
        """Return whether an error was made to happen."""
        if isinstance(error, self.fatal):
            return True
        if isinstance(error, LOSSES):
            # A zombie may miss what retention has taken since its group went on; else only reads
            # that were made to leave something out may.
            behind = member.is_deaf and bool(self.log.starts)
            return behind or (running.kind != "assign" and isinstance(error, tuple(self._allowed)))
        return isinstance(error, tuple(self._allowed))

    async def _commit(self, member: Member, generation: int) -> None:
        offsets = member.offsets()
        if not offsets:
            return
        await Point(COMMITTING)
        member.group.commit(member, generation, offsets)
        await Point(COMMITTED)

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
            stage = self.stages[name]
            if self._faults.breaks:
                stage = replace(stage, machine=functools.partial(self._breakable, stage))
            return self._parts.runtime(stage, self.log, RUN, process.name)
        intake = self._parts.intake(None, self.log, lambda _: None)  # type: ignore[arg-type]
        store = self._parts.store(self.database, process)
        intake._sink = self._parts.sink(store, sleep=_sleep, pauses=_pauses)
        return intake

    def _breakable(self, stage: Stage, key: str, state: Any) -> Machine:
        """Return a machine whose step raises where the code is wrong."""
        machine = stage.machine(key, state)
        step = machine.take

        def take(inbound: Inbound) -> list[Output]:
            place = Place(inbound.topic, inbound.partition)
            if self.broken == (stage.name, place, inbound.offset):
                raise StepError(f"{stage.name} could not take {place} {inbound.offset}")
            return step(inbound)

        machine.take = take  # type: ignore[method-assign]
        return machine

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

    def _revoke(self, member: Member) -> None:
        """Let a member forget its partitions; what it has read may be under way to it still."""
        if self._budget > 0 and self._faults.events and self.tape.randrange(10) == 1:
            self._read_ahead(member)
        member.revoke()

    def _read_ahead(self, member: Member) -> None:
        read = {place: self.log.stored(place, at, 3) for place, at in member.reading.items()}
        member.late = {place: batch for place, batch in read.items() if batch}

    def _hear(self, member: Member) -> None:
        """Revoke, perhaps after a last commit."""
        if not self.tape.randrange(2):
            member.group.commit(member, member.generation, member.offsets())
        self._revoke(member)

    def _notice(self, member: Member) -> None:
        """A member finds out that its group has gone on without it, and joins again."""
        self.tally.event("zombies that found out")
        self._revoke(member)
        self._rebalance(member.group, member)

    def _leave(self, member: Member) -> None:
        """Leave a group cleanly: commit, write down the progress, go."""
        if member.untold:
            member.untold = False
            self._start(member, "checkpoint", member.intake.checkpoint())
            return
        if not member.is_deaf:
            member.group.commit(member, member.generation, member.offsets())
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

    def _kill(self, process: Process, *, silently: bool = False, again: bool = True) -> None:
        """End a process on the spot: what it had sent may arrive late, or never."""
        if process.dead:
            return
        orphans = [] if silently or self.tape.randrange(3) != 1 else _sent(process)
        for running in orphans:
            late = self.tape.pick((20, 200, 600))
            self._orphans.append((self.steps + self.tape.randrange(late), running))
        for member in process.members.values():
            self._turn.remove(member)
        committing = any(running.point.name == SENT for running in orphans)  # type: ignore[union-attr]
        self.database.lose(process, but_committing=committing)
        process.dead = True
        self.processes.remove(process)
        self._graveyard.append(process)
        if not silently:
            self._later(150, lambda: self._expel(process))
            if again:
                self._later(250, lambda: self._begin(process.stages))

    def _finish_orphan(self) -> None:
        """What a dead process had sent is applied late, or never."""
        first = min(self._orphans, key=lambda orphan: orphan[0])
        self._orphans.remove(first)
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
        happenings = [self._shuffle, self._compact, self._stop, self._restore, self._cut_reads]
        if self._faults.retention:
            happenings += [self._truncate, self._compact]
        if self._faults.breaks:
            happenings.append(self._break)
        if self._faults.only:
            happenings = [self._hand_over]
        self.tape.pick(happenings)()

    def _hand_over(self) -> None:
        """Move partitions where nothing is under way; what was read comes late to who lost them."""
        group = self.tape.pick(list(self.groups.values()))
        if any(m.main or m.owed is not None or m.late for m in group.members):
            return
        for member in group.members:
            self._read_ahead(member)
            member.revoke()
        group.assign([*group.members[1:], *group.members[:1]])

    def _shuffle(self) -> None:
        """Move partitions between the members as they are."""
        self.tally.event("rebalances")
        group = self.tape.pick(list(self.groups.values()))
        turned = self.tape.randrange(3)
        group.members = [*group.members[turned:], *group.members[:turned]]
        self._rebalance(group)

    def _compact(self) -> None:
        self.tally.event("compactions")
        for name in self.stages:
            for place in self.log.places(f"state-{name}"):
                if self.tape.randrange(2):
                    self._compact_one(place)

    def _compact_one(self, place: Place) -> None:
        below = self.loaded.get(place, 0) if self._faults.retention else None
        self.log.compact(place, below)

    def _truncate(self) -> None:
        """Take some of what nobody needs from the log; copies of the database are younger."""
        if self.tape.randrange(4):
            self.copy = self.database.copy()
        for place in sorted(self.log.ends):
            first = self.log.starts.get(place, 0)
            spare = unneeded(self, place) - first
            if spare > 0 and (taken := self.tape.randrange(spare + 1)):
                self.tally.event("partitions truncated")
                self.log.truncate(place, first + taken)

    def age(self) -> None:
        """Take all that nobody needs from the log, and all that is superseded."""
        if not self._faults.retention:
            return
        self.copy = self.database.copy()
        for place in sorted(self.log.ends):
            if place.topic.removeprefix("state-") in self.stages:
                self._compact_one(place)
            elif unneeded(self, place) > self.log.starts.get(place, 0):
                self.tally.event("partitions truncated")
                self.log.truncate(place, unneeded(self, place))

    def _break(self) -> None:
        """Let the code of one stage be wrong: it raises at one record, until it is mended."""
        if self.broken is not None:
            return
        stage = self.tape.pick(list(self.stages.values()))
        place = self.tape.pick(self.log.places(self.tape.pick(stage.inputs)))
        at = self.log.ends.get(place, 0) + self.tape.randrange(6) - 3
        self.broken = (stage.name, place, max(at, 0))
        self.tally.event("steps made to raise")
        self._allow(StepError)
        self._later(self.tape.pick((200, 600, 1500)), self.mend)

    def mend(self) -> None:
        """Mend the code."""
        self.broken = None

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
            self.copy = self.database.copy()
            return
        self.tally.event("databases restored")
        self._allow(SinkHoleError)
        self.database.restore(self.copy)
        self.on_restore()

    def _cut_reads(self) -> None:
        self.tally.event("reads cut short")
        self._allow(StateError)
        self.log.cuts += 1


def can_fail(name: str) -> bool:
    """Return whether an error can come at a point: from the broker, or from the database."""
    return "append" in name or name.split(": ", 1)[1] in FALLIBLE


def _sent(process: Process) -> list[Running]:
    """Return what a process has sent that has not been applied."""
    under_way = [each for m in process.members.values() for each in (m.main, m.side)]
    return [
        running
        for running in under_way
        if running and running.point and running.point.name.endswith(SENT_NAME)
    ]


FALLIBLE = ("positions", "begin", "lock", "insert", "move", SENT, APPLIED, COMMITTING, COMMITTED)


async def _sleep(_: float) -> None:
    await Point("sleep")


def _pauses() -> Iterator[float]:
    while True:
        yield 0.0
