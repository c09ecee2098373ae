"""Copies of a Tiger Cloud service, made and deleted by the vendor's `tiger` CLI.

The CLI's own waiting is not used where it can be avoided: it ends on one bad answer and goes on
through states that never end. What it exits with says little about what was done: after a lost
answer the services are listed, again and again for a while, for the one that bears our name.
"""

from __future__ import annotations

import asyncio

import structlog

from app.forks.backend import (
    DEVELOPMENT,
    BackendRefusedError,
    BackendUnavailableError,
    Copy,
    CopyFailedError,
    GuardError,
    Moment,
    Phase,
    Tell,
    silent,
)
from app.forks.guard import refusal
from app.forks.pace import Pace
from app.forks.tiger_access import Access, Reach, reach
from app.forks.tiger_command import Answer, Keys, NotFoundError, TigerCommand, failure
from app.forks.tiger_program import check_program
from app.forks.tiger_service import USABLE, Service, service, services
from app.storage.database import DatabaseSettings
from app.times import format_time

log = structlog.get_logger()
UNHURRIED = Pace()


class TigerBackend:
    """Copies of one Tiger Cloud service; see `Backend`.

    Args:
        command: The CLI.
        keys: Who we are.
        service_id: The service that is copied.
        like: How that service's database is reached; a copy differs in address and user only.
        prefix: What the names of our copies begin with.
        pace: How often is asked.
        knock: Asks a copy's database whether it answers.
    """

    name = "tiger"

    def __init__(
        self,
        command: TigerCommand,
        keys: Keys,
        service_id: str,
        like: DatabaseSettings,
        *,
        prefix: str = "fm-",
        pace: Pace = UNHURRIED,
        knock: Reach = reach,
    ) -> None:
        self._command = command
        self._source = service_id
        self._prefix = prefix
        self._pace = pace
        self._access = Access(command, keys.secret, like, pace, knock)

    async def source(self) -> str:
        """Return the service that is copied."""
        return self._source

    async def check(self) -> None:
        """Find out now whether it can work: the CLI, the keys, the source."""
        await check_program(self._command)
        await self._command.ask("auth", "status", "-o", "json")
        try:
            source = await self._get(self._source)
        except NotFoundError as error:
            raise BackendRefusedError(
                f"Tiger Cloud knows no service {self._source} under these keys: correct "
                f"forks.service, or the keys."
            ) from error
        if source.status not in USABLE:
            raise BackendRefusedError(
                f"service {self._source} is {source.status}, and only one that is "
                f"{' or '.join(USABLE)} can be forked: try again later."
            )

    async def create(self, name: str, moment: Moment) -> Copy:
        """Begin to make a copy; after a lost answer look for what it may have begun."""
        words = ("service", "fork", self._source, *_strategy(moment), "--name", name)
        flags = ("--no-set-default", "--no-wait", "--with-password")
        answer = await self._command.call(
            *words, *flags, "--environment", DEVELOPMENT, "-o", "json"
        )
        made = _begun(answer)
        if made is not None:
            self._access.remember(made)
            return made.copy
        error = failure(words, answer)
        if isinstance(error, BackendRefusedError):
            raise error
        log.warning("answer lost", fork=name, reason=answer.reason())
        return await self._appeared(name, error)

    async def find(self, name: str) -> Copy | None:
        """Return the copy of our source with that name."""
        return next(
            (
                copy
                for copy in await self.copies()
                if (copy.name, copy.source) == (name, self._source)
            ),
            None,
        )

    async def copies(self) -> list[Copy]:
        """Return every service whose name has our prefix, the oldest first."""
        found = services(await self._command.ask("service", "list", "-o", "json"))
        if self._source not in {item.copy.handle for item in found}:
            raise BackendRefusedError(
                f"Tiger Cloud shows no service {self._source} under these keys, so what it does "
                f"not show can't be taken for gone: correct forks.service, or the keys."
            )
        return [item.copy for item in found if item.copy.name.startswith(self._prefix)]

    async def wait(self, copy: Copy, patience: float, tell: Tell = silent) -> Copy:
        """Return the copy once it is READY and lets us connect."""
        said = told = "nothing was heard of it"
        for pause in self._pace.until(patience):
            try:
                found = await self._get(copy.handle)
            except NotFoundError as error:
                raise CopyFailedError(f"the copy {copy.handle} is gone: make another.") from error
            except BackendUnavailableError as error:
                said = str(error)
            else:
                said = found.copy.detail
                _require_hope(found.copy)
                if found.copy.phase is Phase.READY and found.host is not None:
                    await self._access.admit(found)
                    return found.copy
            if said != told:
                tell(f"{copy.name} is not ready yet: {said.rstrip('.')}")
                told = said
            await asyncio.sleep(pause)
        raise BackendUnavailableError(
            f"the copy {copy.handle} was not ready within {patience:g} s ({said}): look again "
            f"with `lockstep fork list`."
        )

    async def connect(self, copy: Copy) -> DatabaseSettings:
        """Return how to reach a copy that is ready."""
        return await self._access.admit(await self._get(copy.handle))

    async def delete(self, name: str, handle: str) -> None:
        """Delete a copy and return when it is gone."""
        said = ""
        for pause in self._pace.until(self._pace.gone_within):
            try:
                if await self._delete_once(name, handle):
                    return
            except BackendUnavailableError as error:
                said = f" ({error})"
            await asyncio.sleep(pause)
        raise BackendUnavailableError(
            f"the copy {handle} of fork {name} was not gone within {self._pace.gone_within:g} "
            f"s{said}: `lockstep fork sweep` tries again."
        )

    async def close(self) -> None:
        """Remove what the CLI was given to work in."""
        self._command.close()

    async def _delete_once(self, name: str, handle: str) -> bool:
        """Ask for the deletion where that may be asked; return whether the copy is gone."""
        try:
            found = await self._get(handle)
            if found.copy.phase is not Phase.DELETING:
                self._require_ours(found.copy, name, handle)
                await self._command.ask("service", "delete", handle, "--confirm")
                found = await self._get(handle)
        except NotFoundError:
            return True
        return found.status == "DELETED"

    def _require_ours(self, copy: Copy, name: str, handle: str) -> None:
        reason = refusal(copy, name=name, handle=handle, source=self._source, prefix=self._prefix)
        if reason:
            raise GuardError(
                f"service {handle} was not deleted, because {reason}: look at it in the console."
            )

    async def _get(self, handle: str) -> Service:
        return service(await self._command.ask("service", "get", handle, "-o", "json"))

    async def _appeared(self, name: str, error: BackendUnavailableError) -> Copy:
        """Return the copy of a call whose answer was lost, once a list shows it."""
        for pause in self._pace.until(self._pace.settle):
            try:
                copy = await self.find(name)
            except BackendUnavailableError:
                copy = None
            if copy is not None:
                return copy
            await asyncio.sleep(pause)
        raise BackendUnavailableError(
            f"{error} No fork {name} appeared within {self._pace.settle:g} s; should one appear "
            f"later, a sweep deletes it."
        ) from error


def _begun(answer: Answer) -> Service | None:
    """Return the service that a call has begun, whatever it exited with."""
    try:
        return service(answer.output)
    except BackendUnavailableError:
        return None


def _require_hope(copy: Copy) -> None:
    if copy.phase in (Phase.FAILED, Phase.DELETING):
        raise CopyFailedError(
            f"the copy {copy.handle} won't be ready, {copy.detail}: make another."
        )


def _strategy(moment: Moment) -> tuple[str, ...]:
    if moment.time is None:
        return (f"--{moment.kind.value}",)
    return ("--to-timestamp", format_time(moment.time))
