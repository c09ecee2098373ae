"""A moment enters; a copy of the database leaves, wherever it lives: what every back end offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from app.errors import ConfigurationError, LockstepError, UnreachableError
from app.storage.database import DatabaseSettings

DEVELOPMENT = "DEV"
"""The environment every copy of ours is marked with."""


Tell = Callable[[str], None]
"""Is told in a sentence how far something has come."""


def silent(_: str) -> None:
    """Tell nobody."""


class BackendError(LockstepError):
    """A back end could not do what was asked; the sentence says why and what to do."""


class BackendUnavailableError(UnreachableError, BackendError):
    """It did not answer, or not in time: whether it did what was asked is not known.

    Look with `find` for what a `create` may have begun; never create again under the same name.
    """


class BackendRefusedError(BackendError):
    """It is there and won't do it, so nothing was done: keys, limits, rights, a missing tool."""


class MomentRefusedError(ConfigurationError, BackendError):
    """It can't copy the database as it was then; the sentence says what it can."""


class CopyFailedError(BackendError):
    """The copy is broken, or was deleted by somebody else: it will never be ready."""


class GuardError(BackendError):
    """What was to be deleted is not provably a copy that we made, so it was left alone."""


class Kind(StrEnum):
    """Which state of the database a copy is made from."""

    NOW = "now"
    LAST_SNAPSHOT = "last-snapshot"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Moment:
    """Which state of the database is copied.

    A copy from now holds every decision time that was stored so far; a what-if at an earlier one
    needs no older copy.

    Attributes:
        kind: Now, the newest backup that is there, or a time.
        time: That time by the server's clock, milliseconds since the epoch UTC; only with `TIME`.
    """

    kind: Kind = Kind.NOW
    time: int | None = None

    def __post_init__(self) -> None:
        if (self.time is None) == (self.kind is Kind.TIME):
            raise ValueError(f"time was {self.time} with {self.kind.value}, must go with a time")


class Phase(StrEnum):
    """How far a copy is, as its back end sees it."""

    CREATING = "creating"
    READY = "ready"
    FAILED = "failed"
    DELETING = "deleting"


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy as its back end describes it; no password is in it.

    Attributes:
        name: The fork's id: unique, chosen before the copy is made.
        handle: What the back end calls it: a service's id, a database's name.
        source: What it was copied from, as the back end names that; none: not a copy.
        standby: Whether it follows its source instead of being a copy.
        environment: What it is marked with; DEV for every copy of ours.
        phase: How far it is.
        detail: More about the phase, in words; may be empty.
    """

    name: str
    handle: str
    source: str | None
    standby: bool
    environment: str
    phase: Phase
    detail: str = ""


class Backend(Protocol):
    """Makes, shows and deletes copies of one database.

    Every method raises BackendUnavailableError where the outcome is unknown, BackendRefusedError
    where nothing was done and trying again doesn't help.
    """

    @property
    def name(self) -> str:
        """Its name, as records say it: `tiger` or `local`."""

    async def source(self) -> str:
        """Return what it copies, as `Copy.source` names it: no other database has that name."""

    async def check(self) -> None:
        """Find out now whether it can work: tools, keys, rights, versions, the source itself."""

    async def create(self, name: str, moment: Moment) -> Copy:
        """Begin to make a copy under a name that was never used before; `wait` for the rest.

        Raises:
            MomentRefusedError: It has no such state of the database; nothing was made.
            BackendUnavailableError: A copy may have been begun: look with `find`, for a while.
        """

    async def find(self, name: str) -> Copy | None:
        """Return the copy of our source with that name; None where there is none (yet)."""

    async def copies(self) -> list[Copy]:
        """Return everything whose name has our prefix, ours or not; never to be deleted unseen.

        What it leaves out is taken for gone, so it raises where it can't see the source itself.
        """

    async def wait(self, copy: Copy, patience: float, tell: Tell = silent) -> Copy:
        """Return the copy once it is ready and lets us connect; `patience` in seconds.

        Now and then, and where something changes, it tells how far the copy is.

        Raises:
            CopyFailedError: It never will be.
            BackendUnavailableError: It was not ready in time; it may be later.
        """

    async def connect(self, copy: Copy) -> DatabaseSettings:
        """Return how to reach a copy that is ready: everything but the address as for its source.

        Works in any process, whichever made the copy.
        """

    async def delete(self, name: str, handle: str) -> None:
        """Delete a copy and return when it is gone; no effect where there is none any more.

        Args:
            name: The fork's id, as our records have it.
            handle: What the back end calls it, as our records have it.

        Raises:
            GuardError: What is there under that handle is not provably this copy of our source.
            BackendUnavailableError: It is not gone (yet): the same again is harmless.
        """

    async def close(self) -> None:
        """Let go of connections and of what runs for copies that nobody waits for."""
