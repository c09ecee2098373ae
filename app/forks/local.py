"""Copies of a database on the server it is on, for everybody who has a PostgreSQL.

The tables are made by our own migrations and filled by COPY out of one snapshot, both through
connections like any other: no program of PostgreSQL's has to be there, nor one of the server's
version; the source may be in use; and neither a superuser nor the server's files are needed.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import asyncpg

from app.errors import LockstepError
from app.forks.backend import (
    BackendError,
    BackendRefusedError,
    BackendUnavailableError,
    Copy,
    CopyFailedError,
    Kind,
    Moment,
    MomentRefusedError,
    Phase,
    Tell,
    silent,
)
from app.forks.local_databases import Databases
from app.forks.local_tables import copy_all
from app.forks.pace import Pace
from app.storage import migrations
from app.storage.database import Database, DatabaseSettings
from app.storage.errors import TRANSIENT, DatabaseRefusedError

LONGEST = 86_400.0
"""Seconds that one statement of a copy may take."""
TELL_EVERY = 10.0
"""Seconds between two words on how far a copy is."""
UNHURRIED = Pace(first=0.2, longest=2.0)
END_JOBS = """
SELECT delete_job(job_id) FROM timescaledb_information.jobs
WHERE hypertable_schema IS NOT NULL
"""


class _Making:
    """A copy that is being made here.

    Attributes:
        task: Makes it.
        table: Which table it is at; empty while there is none.
        count: Bytes that were copied.
    """

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.task = task
        self.table = ""
        self.count = 0

    def moved(self, table: str, count: int) -> None:
        """Take note of what was copied."""
        self.table = table
        self.count += count

    def __str__(self) -> str:
        """Say how far it is."""
        if not self.table:
            return "its tables are being made"
        return f"{self.count >> 20:,} MiB are copied, the table is {self.table}"


class LocalBackend:
    """Copies of one schema as databases of the same server; see `Backend`.

    Args:
        settings: The database that is copied; only its schema is.
        prefix: What the names of our copies begin with.
        pace: How often is looked.
    """

    name = "local"

    def __init__(
        self, settings: DatabaseSettings, prefix: str = "fm-", pace: Pace = UNHURRIED
    ) -> None:
        self._like = settings
        self._pace = pace
        # One reads, one says that it does, and one looks; each copy that is made takes two.
        patient = dataclasses.replace(settings, pool_min=0, pool_max=8, statement_timeout=LONGEST)
        self._database = Database(patient)
        self._databases = Databases(self._database, prefix)
        self._making: dict[str, _Making] = {}

    async def source(self) -> str:
        """Return the database, its schema and its server."""
        with _translated():
            return await self._databases.source()

    async def check(self) -> None:
        """Find out now whether it can work: rights, and a schema that our migrations made."""
        with _translated():
            await self._databases.require_rights()
            await migrations.check(self._database)

    async def create(self, name: str, moment: Moment) -> Copy:
        """Begin to copy the database as it is now."""
        if moment.kind is not Kind.NOW:
            raise MomentRefusedError(
                f"the local back end keeps no older state of the database, so it can't copy it "
                f"from {'a time' if moment.kind is Kind.TIME else 'a snapshot'}: copy it from now; "
                f"a what-if at an earlier decision time starts there all the same."
            )
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._make(name, begun))
        self._making[name] = _Making(task)
        await asyncio.wait({begun, task}, return_when=asyncio.FIRST_COMPLETED)
        if not begun.done():
            await self._made(name, silent)
        return await self._found(name)

    async def find(self, name: str) -> Copy | None:
        """Return the copy of our source with that name."""
        wanted = (name, await self.source())
        return next(
            (copy for copy in await self.copies() if (copy.name, copy.source) == wanted), None
        )

    async def copies(self) -> list[Copy]:
        """Return every database whose name has our prefix."""
        with _translated():
            return await self._databases.copies()

    async def wait(self, copy: Copy, patience: float, tell: Tell = silent) -> Copy:
        """Return the copy once it is whole."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                return await self._whole(copy, tell)
        raise BackendUnavailableError(
            f"the copy {copy.handle} was not ready within {patience:g} s: raise "
            f"forks.ready_within, or copy a smaller database."
        )

    async def connect(self, copy: Copy) -> DatabaseSettings:
        """Return how to reach a copy: as its source, under another name."""
        return dataclasses.replace(self._like, name=copy.handle)

    async def delete(self, name: str, handle: str) -> None:
        """Drop a copy."""
        await self._stop(name)
        with _translated():
            await self._databases.drop(name, handle)

    async def close(self) -> None:
        """Stop what is being made, and disconnect."""
        for name in list(self._making):
            await self._stop(name)
        await self._database.close()

    async def _make(self, name: str, begun: asyncio.Future[None]) -> None:
        async with self._databases.making(name):
            await self._databases.create(name)
            begun.set_result(None)
            patient = dataclasses.replace(self._database.settings, name=name)
            async with Database(patient) as target:
                await migrations.apply(target)
                await target.execute(END_JOBS)  # retention would shorten it
                await copy_all(self._database, target, self._making[name].moved)
                await target.execute("ANALYZE")
            await self._databases.describe(name, complete=True)

    async def _whole(self, copy: Copy, tell: Tell) -> Copy:
        if copy.name in self._making:
            await self._made(copy.name, tell)
        for pause in self._pace.until(LONGEST):
            found = await self._found(copy.name)
            if found.phase is Phase.READY:
                return found
            if found.phase is Phase.FAILED:
                raise CopyFailedError(f"the copy {copy.handle} is not whole: {found.detail}.")
            await asyncio.sleep(pause)
        raise AssertionError  # the caller's patience ends before

    async def _made(self, name: str, tell: Tell) -> None:
        """Wait for a copy that is being made here; say in one sentence why it came to nothing."""
        making = self._making[name]
        try:
            while not (await asyncio.wait({making.task}, timeout=TELL_EVERY))[0]:
                tell(f"{name} is not ready yet: {making}")
            await making.task
        except BackendError:
            raise
        except (ExceptionGroup, LockstepError, OSError, asyncpg.PostgresError) as error:
            raise CopyFailedError(
                f"copying {self._like.name}.{self._like.schema} to {name} failed: {_first(error)}"
            ) from error
        finally:
            if making.task.done():
                self._making.pop(name, None)

    async def _found(self, name: str) -> Copy:
        copy = await self.find(name)
        if copy is None:
            raise CopyFailedError(f"the copy {name} is gone: make another.")
        return copy

    async def _stop(self, name: str) -> None:
        making = self._making.pop(name, None)
        if making is not None:
            making.task.cancel()
            await asyncio.gather(making.task, return_exceptions=True)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what a database can say into what a back end can."""
    try:
        yield
    except DatabaseRefusedError as error:
        raise BackendRefusedError(str(error)) from error
    except (*TRANSIENT, asyncpg.PostgresError) as error:
        raise BackendUnavailableError(str(error)) from error


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
