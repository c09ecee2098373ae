"""A fork's life and its copy, if there is one, enter; what a sweep has to do about them leaves."""

from __future__ import annotations

from enum import Enum

from app.core.events import ForkStep
from app.forks.backend import Copy, Phase
from app.forks.lives import Life

S = ForkStep


class Verdict(Enum):
    """What a sweep does about a fork."""

    LEAVE = "nothing"
    ADOPT = "write down which copy is its own, then see how far that is"
    FINISH = "wait a little for the copy and write down that it is ready"
    DELETE = "delete the copy and write that down"
    FORGET = "write down that the copy is gone"
    GIVE_UP = "write down that no copy ever appeared"


WATCHED = 3_600_000
"""For so many milliseconds after it was asked for a copy is looked for that nobody has seen."""


def judge(life: Life, copy: Copy | None, now: int, patience: int) -> Verdict:
    """Return what to do about a fork.

    Args:
        life: What our records say.
        copy: What its back end shows under its name.
        now: Milliseconds since the epoch UTC.
        patience: For how many milliseconds after a step a copy may be missing from a list, or its
            maker may still be at work.
    """
    if copy is None:
        return _missing(life, now, patience)
    if copy.phase is Phase.DELETING:
        return Verdict.LEAVE
    ended = life.step in (S.FAILED, S.DELETING, S.DELETED)
    # One request, two copies: only the first is the fork.
    second = life.handle not in (None, copy.handle)
    if ended or second or now >= life.expires or copy.phase is Phase.FAILED:
        return Verdict.DELETE
    if life.handle is None:
        return Verdict.ADOPT
    ready = life.step is S.CREATING and copy.phase is Phase.READY
    return Verdict.FINISH if ready else Verdict.LEAVE


def _missing(life: Life, now: int, patience: int) -> Verdict:
    if life.step is S.DELETING:
        return Verdict.FORGET
    if life.step is S.FAILED and not life.handles:
        # Its answer was lost: the copy may come yet, so it is not forgotten before a late look.
        return Verdict.FORGET if now >= life.asked + WATCHED else Verdict.LEAVE
    if life.over or now < life.since + patience:
        return Verdict.LEAVE
    return Verdict.FORGET if life.handles else Verdict.GIVE_UP
