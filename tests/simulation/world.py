"""Several workers under the real stage runtime and sink, on a log and a database made of lists.

Coroutines are driven by hand: each operation on the log, a group or the database stops at named
points before and after its effect. There the tape chooses who goes on, and whether the one that
stands there is killed, frozen (a zombie: it wakes up when a successor has begun) or given an error.
Nothing else awaits, so the points are every place where a real process can die between two effects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from app.runtime.ports import Entry, Place
from app.runtime.sink import SINK_TOPICS
from tests.simulation.conductor import Conductor
from tests.simulation.database import SimulatedDatabase
from tests.simulation.deaths import Deaths
from tests.simulation.events import Events
from tests.simulation.faults import Fates, Faults
from tests.simulation.members import Member, Process
from tests.simulation.memberships import Memberships
from tests.simulation.parts import CrashingLog, ObjectionError, Parts, Scenario, Tally
from tests.simulation.retention import SINK
from tests.simulation.tape import Tape

MOST_STEPS = 50_000
"""Of a run that comes to rest; being frozen several times takes up to 27,000."""


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
        turn: Every member; whoever has waited longest comes first.
        fates, conductor, memberships, deaths, events: What becomes of them, by responsibility.
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
        self.ends: list[tuple[str, str, Exception]] = []
        self._hash = hashlib.sha256()
        self.on_commit: Callable[[], None] = lambda: None
        self.on_restore: Callable[[], None] = lambda: None
        self.trace: list[str] | None = None
        self.parts = parts or Parts()
        self.stages = {stage.name: stage for stage in scenario.stages}
        topics = {stage.name: stage.inputs for stage in scenario.stages} | {SINK: SINK_TOPICS}
        self.groups = {
            name: self.parts.group(name, read, self.log) for name, read in topics.items()
        }
        self.processes: list[Process] = []
        self._lanes = [list(reversed(lane)) for lane in scenario.lanes]
        self._timers: list[tuple[int, Callable[[], None]]] = []
        self.copy = self.database.copy()
        self.turn: list[Member] = []
        self.fates = Fates(tape, faults, self.tally)
        self.conductor = Conductor(self)
        self.memberships = Memberships(self)
        self.deaths = Deaths(self)
        self.events = Events(self)

    @property
    def history(self) -> str:
        """A hash of all that has happened."""
        return self._hash.hexdigest()

    @property
    def members(self) -> list[Member]:
        """Return every member of a process that has not ended."""
        return [each for process in self.processes for each in process.members.values()]

    def run(self, limit: int = MOST_STEPS) -> None:
        """Run until every group has taken all there is, through whatever the faults do."""
        self.memberships.found()
        while self._step():
            self.steps += 1
            if self.steps > limit:
                raise ObjectionError(f"the run did not come to rest: {self._busy()}")

    def successors(self) -> None:
        """Kill every process and let new ones, without faults, take over and come to rest."""
        self.events.age()
        self.events.mend()
        self.fates.stop()
        for process in list(self.processes):
            self.deaths.kill(process, silently=True)
        self._timers = []
        self.memberships.begin(tuple(self.groups))
        self.memberships.heal()
        self.run_on()

    def inject(self, place: Place, key: bytes, value: bytes, within: int) -> None:
        """Have a foreign writer append to one of our own topics, within so many steps."""

        def write() -> None:
            self.poison[place] = self.log.put(Entry(place.topic, key, value, place.partition))

        self.later(within, write)

    def run_on(self, limit: int = MOST_STEPS) -> None:
        """Go on until rest."""
        start = self.steps
        while self._step():
            self.steps += 1
            if self.steps > start + limit:
                raise ObjectionError(f"the run did not come to rest: {self._busy()}")

    def start_again(self, names: tuple[str, ...] = ()) -> None:
        """Start one process, with everything or some groups, and go on until rest."""
        self.conductor.hope()
        for process in list(self.processes):
            self.end(process)
        self._timers = []
        self.memberships.begin(names or tuple(self.groups))
        self.run_on()

    def end(self, process: Process) -> None:
        """End a process on the spot; nobody starts it again."""
        self.deaths.kill(process, silently=True)

    def progress(self) -> tuple[dict[Place, int], dict[Any, int], list[dict[Place, int]]]:
        """Return how far the log's records, the database and the groups have come."""
        ends = {p: at for p, at in self.log.ends.items() if not p.topic.startswith("state-")}
        committed = [dict(group.committed) for group in self.groups.values()]
        return ends, dict(self.database.offsets), committed

    def _step(self) -> bool:
        self._ring_timers()
        if self.fates.event_happens():
            self.events.happen()
        movable = [member for member in self.turn if member.can_move(self.log)]
        lanes = sum(1 for lane in self._lanes if lane)
        orphans = any(due <= self.steps for due, _ in self.deaths.orphans)
        total = len(movable) + bool(lanes) + bool(orphans)
        if not total:
            return self._wait()
        chosen = self.tape.randrange(total) if total > 1 else 0
        if chosen < len(movable):
            self.conductor.move(movable[chosen])
        elif lanes and chosen == len(movable):
            self._feed()
        else:
            self.deaths.finish_orphan()
        return True

    def _wait(self) -> bool:
        """Nothing can move: let time pass, or say that this is the end."""
        if self._timers:
            self._ring_timers(everything=True)
            return True
        if self.deaths.orphans:
            self.deaths.finish_orphan()
            return True
        if self.memberships.heal():
            return True
        stuck = [m.name for m in self.members if m.main is not None or m.side is not None]
        if stuck:
            raise ObjectionError(f"a deadlock: {stuck}")
        return False

    def _feed(self) -> None:
        """Append a piece of what enters from outside."""
        lane = self.tape.pick([lane for lane in self._lanes if lane])
        for _ in range(1 + self.tape.randrange(4)):
            if lane:
                self.note("feed", self.log.put(lane.pop()))

    def later(self, within: int, action: Callable[[], None]) -> None:
        """Have something done within so many steps."""
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

    def note(self, *what: object) -> None:
        """Make something a part of the history."""
        text = " ".join(map(str, what))
        self._hash.update(text.encode())
        if self.trace is not None:
            self.trace.append(f"{self.steps}: {text}")

    def _busy(self) -> list[str]:
        return [member.name for member in self.members if member.can_move(self.log)]
