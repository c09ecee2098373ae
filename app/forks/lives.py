"""Steps of forks enter in the order of the log; each fork's life so far leaves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from app.core.events import Fork, ForkStep

S = ForkStep
_ENDING = frozenset({S.DELETING, S.DELETED})
NEXT: dict[ForkStep, frozenset[ForkStep]] = {
    S.REQUESTED: frozenset({S.CREATING, S.FAILED, *_ENDING}),
    S.CREATING: frozenset({S.READY, S.FAILED, *_ENDING}),
    S.READY: frozenset({S.RUNNING, S.FAILED, *_ENDING}),
    S.RUNNING: frozenset({S.RUNNING, S.FINISHED, S.FAILED, *_ENDING}),
    S.FINISHED: frozenset({S.RUNNING, S.FAILED, *_ENDING}),
    S.FAILED: _ENDING,
    S.DELETING: frozenset({S.DELETED}),
    S.DELETED: frozenset(),
}
"""Which step may follow which. Two processes may each write a step of one fork, one of them not
knowing of the other's: what may not follow what stands there changes nothing."""


@dataclass(frozen=True, slots=True)
class Life:
    """How far a fork has come; times in milliseconds since the epoch UTC.

    Attributes:
        fork_id: The fork.
        step: The last step that counts.
        asked: When it was asked for.
        since: When that last step was taken.
        at: The decision time it stands for; none: now.
        backend: Where it lives.
        source: What it is a copy of.
        handles: What its back end calls it; empty while that is not known. More than one only
            where one request made several copies; the first is the fork.
        expires: From when on it may be deleted unasked.
        detail: What the last step said.
    """

    fork_id: str
    step: ForkStep
    asked: int
    since: int
    at: int | None
    backend: str
    source: str
    handles: tuple[str, ...]
    expires: int
    detail: str

    @property
    def handle(self) -> str | None:
        """What its back end calls it; none while that is not known."""
        return self.handles[0] if self.handles else None

    @property
    def over(self) -> bool:
        """Whether nothing is left of it."""
        return self.step is S.DELETED

    @property
    def takes_room(self) -> bool:
        """Whether it counts among the forks there may be at once."""
        return not self.over and (bool(self.handles) or self.step is not S.FAILED)

    @property
    def usable(self) -> bool:
        """Whether its copy can be connected to."""
        return self.step in (S.READY, S.RUNNING, S.FINISHED)


def fold(steps: Iterable[Fork]) -> dict[str, Life]:
    """Return each fork's life by its id, in the order in which they were asked for."""
    lives: dict[str, Life] = {}
    for step in steps:
        life = lives.get(step.fork_id)
        lives[step.fork_id] = _born(step) if life is None else _grown(life, step)
    return lives


def _born(step: Fork) -> Life:
    return Life(
        fork_id=step.fork_id,
        step=step.step,
        asked=step.time,
        since=step.time,
        at=step.at,
        backend=step.backend,
        source=step.source,
        handles=() if step.handle is None else (step.handle,),
        expires=step.expires,
        detail=step.detail,
    )


def _grown(life: Life, step: Fork) -> Life:
    if step.handle is not None and step.handle not in life.handles:
        # Also from a step that comes too late: a copy that was made must be known to be deleted.
        life = replace(life, handles=(*life.handles, step.handle))
    if step.step not in NEXT[life.step]:
        return life
    return replace(life, step=step.step, since=step.time, expires=step.expires, detail=step.detail)
