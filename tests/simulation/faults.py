"""Choices of a tape enter; what goes wrong in one run, and where, leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.runtime.stage import LostInputError
from app.storage.sink import HoleError as SinkHoleError
from tests.simulation.database import APPLIED, ERRORS, LOST, SENT
from tests.simulation.members import CommitError
from tests.simulation.parts import Tally
from tests.simulation.points import FREEZE, KILL
from tests.simulation.retention import SINK
from tests.simulation.tape import Tape

GO, FAIL = "go", "fail"
COMMITTING = "offsets sent, not applied"
COMMITTED = "offsets applied, not acknowledged"
FALLIBLE = ("positions", "begin", "lock", "insert", "move", SENT, APPLIED, COMMITTING, COMMITTED)

LOSSES = (LostInputError, SinkHoleError)

Plan = Callable[[int, str], str]
"""Given the number of a point in this run and its name, returns what happens there."""


class BrokenError(Exception):
    """The broker's answer to an append: a failure, whatever became of the records."""


class StepError(Exception):
    """A machine's step raised, as wrong code would."""


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


class Fates:
    """Says what comes over who passes a point, as often as the faults of the run allow.

    Attributes:
        faults: Those of the run.
        budget: How many of them are left.
    """

    def __init__(self, tape: Tape, faults: Faults, tally: Tally) -> None:
        self.faults = faults
        self.budget = faults.budget
        self._passings = [passing for _, _, passing in faults.targets]
        self._allowed: list[type[Exception]] = [BrokenError, CommitError]
        self._tape = tape
        self._tally = tally

    def stop(self) -> None:
        """Let nothing go wrong any more."""
        self.faults, self.budget, self._passings = Faults(), 0, []

    def event_happens(self) -> bool:
        """Return whether something happens now to the world as a whole."""
        wanted = self.faults.events > 0 and self.budget > 0
        return wanted and self._tape.happens(self.faults.events)

    @property
    def allowed(self) -> tuple[type[Exception], ...]:
        """The errors that something has led to."""
        return tuple(self._allowed)

    def allow(self, *errors: type[Exception]) -> None:
        """Expect errors from now on that something leads to."""
        self._allowed += [error for error in errors if error not in self._allowed]

    def fate(self, passed: int, name: str) -> str:
        """Return what happens at a point, after so many others of this run."""
        if self.faults.plan is not None:
            return self.faults.plan(passed, name)
        return self._aimed(name) or (self._drawn_fate(name) if self.budget > 0 else GO)

    def _aimed(self, name: str) -> str | None:
        """Return what a target has in mind for this passing of a point."""
        for number, (point, fate, _) in enumerate(self.faults.targets):
            if point == name and self._passings[number] > 0:
                self._passings[number] -= 1
                if self._passings[number] == 0:
                    return fate
        return None

    def _drawn_fate(self, name: str) -> str:
        faults = self.faults
        bounds = (
            (faults.kills, KILL),
            (faults.kills + faults.freezes, FREEZE),
            (faults.kills + faults.freezes + faults.fails * can_fail(name), FAIL),
        )
        value = self._tape.randrange(1000)
        for bound, fate in bounds:
            if 0 < value <= bound:
                self.budget -= 1
                return fate
        return GO

    def error(self, group: str, point: str) -> Exception:
        """Return the error that a point gives to a member of a group."""
        if point in (COMMITTING, COMMITTED):
            return CommitError(point)
        if group != SINK:
            return BrokenError(point)
        return LOST if point in (SENT, APPLIED) else self._tape.pick(ERRORS)

    def bad_read(self) -> int:
        """Return by how much a client misses what is due: some again, or some left out."""
        wanted = self.budget > 0 and self.faults.bad_reads
        if not wanted or not self._tape.happens(self.faults.bad_reads):
            return 0
        self.budget -= 1
        by = self._tape.pick((-1, -3) if self.faults.only else (-1, -3, 1, 2))
        self._tally.event("records given again" if by < 0 else "records left out")
        if by > 0:
            self.allow(*LOSSES)
        return by


def can_fail(name: str) -> bool:
    """Return whether an error can come at a point: from the broker, or from the database."""
    return "append" in name or name.split(": ", 1)[1] in FALLIBLE
