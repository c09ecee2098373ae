"""A wish for a copy of the database enters; the copy leaves, and each step of its life on `forks`.

The Fork Manager. Whoever wants a fork carries it out in a process of its own (`lockstep fork`), and
whoever sweeps, at its start or on a worker's timer, finishes or deletes what such a process left
behind when it was killed. Nothing is held in memory that the records on `forks` and the back end do
not say, so a crash at any point leaves neither a copy that nobody will delete nor a fork whose copy
nobody knows: the request, under a name that is used once, is durable before the copy is begun.
"""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from dataclasses import dataclass

from app.core.events import Fork, ForkStep
from app.errors import LockstepError
from app.forks.backend import (
    Backend,
    BackendError,
    Copy,
    CopyFailedError,
    Moment,
    Tell,
    silent,
)
from app.forks.ledger import Ledger
from app.forks.lives import Life
from app.storage.database import DatabaseSettings

S = ForkStep
NOW = Moment()
LONGEST_DETAIL = 500


class ForkError(LockstepError):
    """There is no such fork, or it can't do what is asked of it; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What every fork is held to.

    Attributes:
        prefix: What the names of forks begin with.
        maximum: How many may be there at once.
        ttl: How long a fork is kept unless asked otherwise, milliseconds.
        ready_within: How long a copy may take to be ready, seconds.
    """

    prefix: str = "fm-"
    maximum: int = 4
    ttl: int = 7_200_000
    ready_within: float = 3600.0


class ForkAgent:
    """Makes forks and ends them.

    Attributes:
        backend: Where their copies live.
        ledger: Where their steps stand.
        rules: What they are held to.
    """

    def __init__(self, backend: Backend, ledger: Ledger, rules: Rules) -> None:
        self.backend = backend
        self.ledger = ledger
        self.rules = rules

    async def forks(self) -> list[Life]:
        """Return every fork of this database there is or was, the first asked for first."""
        source = await self.backend.source()
        lives = await self.ledger.lives()
        return [life for life in lives.values() if self._is_ours(life, source)]

    async def fork(self, fork_id: str) -> Life:
        """Return one.

        Raises:
            ForkError: There is none of that name, or it is another database's.
        """
        life = (await self.ledger.lives()).get(fork_id)
        if life is None:
            raise ForkError(f"there is no fork {fork_id}: `lockstep fork list` shows them.")
        source = await self.backend.source()
        if not self._is_ours(life, source):
            raise ForkError(
                f"fork {fork_id} is a copy of {life.source} ({life.backend}), but the settings "
                f"name {source} ({self.backend.name}) and forks.prefix {self.rules.prefix}: use "
                f"the settings it was made with."
            )
        return life

    async def create(
        self,
        moment: Moment = NOW,
        *,
        at: int | None = None,
        ttl: int | None = None,
        detail: str = "asked for",
        tell: Tell = silent,
    ) -> Life:
        """Make a fork and return it once it can be connected to.

        Args:
            moment: The state of the database that is copied.
            at: The decision time it stands for, milliseconds since the epoch UTC; none: now.
            ttl: Milliseconds after which it may be deleted unasked; the rules' otherwise.
            detail: Why it is made.
            tell: Told each step in a sentence.

        Raises:
            ForkError: There are as many as there may be.
            BackendError: No copy could be made; the sentence says why.
        """
        await self.backend.check()
        for sentence in await self.sweep():
            tell(sentence)
        await self._require_room(None)
        life = await self._request(at, ttl, detail)
        tell(f"{life.fork_id} was asked for")
        try:
            await self._require_room(life)
            copy = await self.backend.create(life.fork_id, moment)
            await self.adopt(life, copy)
            tell(f"{life.fork_id} is being made as {copy.handle}")
            return await self.finish(copy, self.rules.ready_within, tell)
        except BaseException as error:  # an interrupt, too, must not leave it to its end
            await asyncio.shield(self._abandon(life, error, tell))
            raise

    async def sweep(self) -> list[str]:
        """Finish or delete what nobody ended; return a sentence for each thing that was done."""
        from app.forks.sweep import Sweep  # noqa: PLC0415 - it is made of what is here

        return await Sweep(self).run()

    async def connect(self, fork_id: str) -> DatabaseSettings:
        """Return how to reach a fork's copy.

        Raises:
            ForkError: It is not ready, or not any more.
        """
        life = await self.fork(fork_id)
        if not life.usable:
            raise ForkError(f"fork {fork_id} can't be used, it is {life.step}: {life.detail}.")
        copy = await self.backend.find(fork_id)
        if copy is None or copy.handle != life.handle:
            raise ForkError(
                f"the copy {life.handle} of fork {fork_id} is gone: make another with `lockstep "
                f"fork create`."
            )
        return await self.backend.connect(copy)

    async def running(self, fork_id: str, detail: str) -> None:
        """Write down that something runs on a fork."""
        await self.take(await self.fork(fork_id), S.RUNNING, detail)

    async def finished(self, fork_id: str, detail: str) -> None:
        """Write down what came out of that; the fork can be used again."""
        await self.take(await self.fork(fork_id), S.FINISHED, detail)

    async def failed(self, fork_id: str, detail: str) -> None:
        """Write down that a fork is of no use any more; the next sweep deletes it."""
        await self.take(await self.fork(fork_id), S.FAILED, detail)

    async def delete(self, fork_id: str, detail: str = "asked for") -> Life:
        """Delete a fork's copy and return the fork; no effect where it is gone already.

        Raises:
            ForkError: There is no such fork.
            GuardError: What is there is not provably its copy.
            BackendUnavailableError: It is not gone (yet): a sweep tries again.
        """
        life = await self.fork(fork_id)
        copy = await self.backend.find(fork_id)
        if copy is not None:
            life = await self.adopt(life, copy)
        if not life.over:
            await self.end(life, detail)
        return await self.fork(fork_id)

    async def end(self, life: Life, detail: str) -> None:
        """Delete every copy that a fork is known to have, and write that down."""
        await self.take(life, S.DELETING, detail)
        for handle in life.handles:
            await self.backend.delete(life.fork_id, handle)
        await self.take(life, S.DELETED, detail)

    async def adopt(self, life: Life, copy: Copy) -> Life:
        """Let a fork know a copy that was made for it, and return what is known then."""
        if copy.handle in life.handles:
            return life
        await self.take(life, S.CREATING, f"made as {copy.handle} from {copy.source}", copy.handle)
        return await self.fork(life.fork_id)

    async def finish(self, copy: Copy, patience: float, tell: Tell = silent) -> Life:
        """Wait, so many seconds, until a copy can be connected to, and write that down.

        Meanwhile it tells how far the copy is.

        Raises:
            CopyFailedError: It never will be, or the fork was ended meanwhile.
            BackendUnavailableError: It was not ready in time.
        """
        await self.backend.wait(copy, patience, tell)
        life = await self.fork(copy.name)
        if life.step is S.CREATING:
            await self.take(life, S.READY, f"ready as {copy.handle}")
            life = await self.fork(copy.name)
        if not life.usable:
            raise CopyFailedError(
                f"fork {copy.name} was given up before it was ready ({life.detail}): make another."
            )
        return life

    async def take(
        self, life: Life, step: ForkStep, detail: str, handle: str | None = None
    ) -> None:
        """Append a step of a fork, and what its back end calls the copy where that is new."""
        await self.ledger.write(
            Fork(
                fork_id=life.fork_id,
                step=step,
                time=self.ledger.now(),
                at=life.at,
                backend=life.backend,
                source=life.source,
                handle=handle or life.handle,
                expires=life.expires,
                detail=detail[:LONGEST_DETAIL],
            )
        )

    async def _request(self, at: int | None, ttl: int | None, detail: str) -> Life:
        now = self.ledger.now()
        name = f"{self.rules.prefix}{uuid.uuid4()}"
        expires = now + (self.rules.ttl if ttl is None else ttl)
        place = (self.backend.name, await self.backend.source())
        await self.ledger.write(Fork(name, S.REQUESTED, now, at, *place, None, expires, detail))
        return await self.fork(name)

    async def _require_room(self, life: Life | None) -> None:
        """Refuse one fork too many; of two that were asked for at once the log's first has room."""
        there = [other for other in await self.forks() if other.takes_room]
        earlier = there if life is None else there[: there.index(life)]
        if len(earlier) >= self.rules.maximum:
            raise ForkError(
                f"there are {len(earlier)} forks, as many as there may be: delete one (`lockstep "
                f"fork list`), or raise forks.maximum."
            )

    async def _abandon(self, life: Life, error: BaseException, tell: Tell) -> None:
        """Write down why a fork came to nothing, and delete what was made of it."""
        reason = _reason(error)
        await self.take(life, S.FAILED, reason)
        life = await self.fork(life.fork_id)
        if not life.handles:
            return
        if isinstance(error, BackendError):
            with suppress(BackendError):
                await self.end(life, reason)
                return
        # Who interrupts is not kept waiting.
        tell(f"{life.fork_id} came to nothing; `lockstep fork sweep` deletes what was made of it")

    def _is_ours(self, life: Life, source: str) -> bool:
        # One with another prefix would be looked for in vain, and taken for gone.
        named = life.fork_id.startswith(self.rules.prefix)
        return named and (life.backend, life.source) == (self.backend.name, source)


def _reason(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "it was interrupted"
    return str(error) if isinstance(error, LockstepError) else repr(error)
