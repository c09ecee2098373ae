"""Copies on the same server: exact, made while the source is in use, and never half of one."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import sys
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app import data
from app.forks.backend import (
    BackendRefusedError,
    CopyFailedError,
    GuardError,
    Kind,
    Moment,
    MomentRefusedError,
    Phase,
)
from app.forks.local import LocalBackend
from app.forks.local_databases import Databases
from app.forks.pace import Pace
from app.storage.database import Database, DatabaseSettings
from app.storage.sink import Sink
from app.storage.store import PostgresStore
from tests.storage.conftest import admin, database, empty, settings
from tests.storage.test_sink import EVERYTHING, contents

__all__ = ["admin", "database", "empty", "settings"]

NOW = Moment()
BRISK = Pace(first=0.05, longest=0.3)
PATIENT = 120.0
LOOK = "SELECT datname FROM pg_database WHERE starts_with(datname, $1)"


@pytest.fixture
def prefix() -> str:
    """Names of this test alone: other forks may be on the server."""
    return f"fm{os.getpid()}x{uuid.uuid4().hex[:6]}-"


@pytest.fixture
async def backend(
    settings: DatabaseSettings, admin: asyncpg.Connection, prefix: str
) -> AsyncIterator[LocalBackend]:
    made = LocalBackend(settings, prefix, BRISK)
    yield made
    await made.close()
    for row in await admin.fetch(LOOK, prefix):
        await admin.execute(f'DROP DATABASE "{row["datname"]}" WITH (FORCE)')


def another(database: Database, prefix: str) -> LocalBackend:
    """Return the back end as another process would have it."""
    return LocalBackend(database.settings, prefix, BRISK)


async def writing(database: Database) -> None:
    """Store a trade and move the offset, again and again, as the sink does."""
    for number in range(1, 10**9):
        async with database.transaction() as connection:
            await connection.execute(
                "INSERT INTO trades VALUES (timestamptz '2021-01-01' + $1 * interval '1 hour', "
                "'BINANCE:BTCUSDT', $1, $1, $1, 30000.01, 0.5, true, 3, 7, $1 - 1)",
                number,
            )
            await connection.execute(
                "INSERT INTO sink_offsets VALUES ('trades', 7, $1) ON CONFLICT "
                "(topic, topic_partition) DO UPDATE SET next_offset = $1",
                number,
            )


async def test_a_copy_holds_what_its_source_held_between_two_transactions(
    database: Database,
    admin: asyncpg.Connection,
    backend: LocalBackend,
    prefix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.forks.local.TELL_EVERY", 0.001)
    await Sink(PostgresStore(database)).write(EVERYTHING)
    before = await contents(admin)
    writer = asyncio.create_task(writing(database))
    await backend.check()
    name = f"{prefix}{uuid.uuid4()}"
    copy = await backend.create(name, NOW)
    assert (copy.name, copy.source, copy.phase) == (name, await backend.source(), Phase.CREATING)
    elsewhere = another(database, prefix)
    seen = await elsewhere.find(name)
    assert seen is not None
    assert seen.phase is Phase.CREATING
    said: list[str] = []
    ready = await backend.wait(copy, PATIENT, said.append)
    assert any("the table is" in each for each in said)
    assert not writer.done()
    writer.cancel()
    assert ready == await elsewhere.wait(copy, PATIENT) == await elsewhere.find(name)
    async with Database(await elsewhere.connect(ready)) as fork:
        count, last, held = (await fork.fetchrow(
            "SELECT count(*), max(topic_offset), (SELECT next_offset FROM sink_offsets "
            "WHERE topic_partition = 7) FROM trades WHERE topic_partition = 7")).values()  # type: ignore[union-attr]  # fmt: skip
        assert count == held == last + 1 > 0
        await fork.execute("DELETE FROM trades WHERE topic_partition = 7")
        async with fork.connection() as connection:
            assert await contents(connection) == before
        assert await fork.fetchval("SELECT count(*) FROM sink_offsets") > 1
        jobs = "SELECT count(*) FROM timescaledb_information.jobs WHERE hypertable_name <> ''"
        assert await fork.fetchval(jobs) == 0
    await elsewhere.delete(name, ready.handle)
    assert await backend.find(name) is None
    await backend.delete(name, ready.handle)  # again: no effect
    await elsewhere.close()


@pytest.mark.parametrize("moment", [Moment(Kind.LAST_SNAPSHOT), Moment(Kind.TIME, 1_000)])
async def test_an_older_state_is_refused_before_anything_is_made(
    backend: LocalBackend, prefix: str, moment: Moment
) -> None:
    with pytest.raises(MomentRefusedError, match="copy it from now"):
        await backend.create(f"{prefix}1", moment)
    assert await backend.copies() == []


async def test_a_database_of_somebody_else_is_left_alone(
    backend: LocalBackend, admin: asyncpg.Connection, empty: Database, prefix: str
) -> None:
    theirs, of_another = f"{prefix}theirs", f"{prefix}another"
    await admin.execute(f'CREATE DATABASE "{theirs}"')
    elsewhere = dataclasses.replace(empty.settings, schema="another")
    async with Database(elsewhere) as other:
        await Databases(other, prefix).create(of_another)
    assert {copy.name for copy in await backend.copies()} == {theirs, of_another}
    for name, reason in ((theirs, "it is no fork"), (of_another, r"fork of \w+\.another@\d+")):
        with pytest.raises(GuardError, match=reason):
            await backend.delete(name, name)
        with pytest.raises(GuardError, match="our records say"):
            await backend.delete(f"{prefix}ours", name)
        assert await backend.find(name) is None
    with pytest.raises(GuardError, match="does not begin with"):
        await backend.delete(f"{prefix}ours", empty.settings.name)
    assert len(await admin.fetch(LOOK, prefix)) == 2


async def test_a_database_that_nobody_could_enter_yet_is_ours_by_its_name(
    backend: LocalBackend, admin: asyncpg.Connection, prefix: str
) -> None:
    name = f"{prefix}{uuid.uuid4()}"
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE template0 ALLOW_CONNECTIONS false')
    copy = await backend.find(name)
    assert copy is not None
    assert copy.phase is Phase.FAILED
    with pytest.raises(CopyFailedError, match="did not come to the end"):
        await backend.wait(copy, PATIENT)
    await backend.delete(name, copy.handle)
    assert await backend.copies() == []


MAKER = """
import asyncio, sys
from app.config import load
from app.forks.backend import Moment
from app.forks.local import LocalBackend

async def main():
    backend = LocalBackend(load().database.storage(), sys.argv[1])
    await backend.create(sys.argv[2], Moment())
    print("begun", flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


async def test_half_a_copy_of_a_killed_maker_is_seen_and_deleted(
    settings: DatabaseSettings, backend: LocalBackend, prefix: str
) -> None:
    name = f"{prefix}{uuid.uuid4()}"
    where = {"HOST": "host", "PORT": "port", "NAME": "name", "USER": "user",
             "PASSWORD": "password", "SCHEMA": "schema"}  # fmt: skip
    told = {f"LOCKSTEP_DATABASE__{key}": str(getattr(settings, field))
            for key, field in where.items()}  # fmt: skip
    maker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAKER, prefix, name,
        cwd=data.PACKAGE.parent, env={**os.environ, **told}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert maker.stdout is not None
    assert await maker.stdout.readline() == b"begun\n"
    copy = await backend.find(name)
    assert copy is not None
    assert copy.phase is Phase.CREATING
    maker.send_signal(signal.SIGKILL)
    await maker.wait()
    with pytest.raises(CopyFailedError, match="did not come to the end"):
        await backend.wait(copy, PATIENT)
    await backend.delete(name, copy.handle)
    assert await backend.copies() == []


async def test_a_copy_that_can_not_be_filled_is_said_and_not_taken_for_one(
    settings: DatabaseSettings, admin: asyncpg.Connection, backend: LocalBackend, prefix: str
) -> None:
    await admin.execute(f"CREATE SCHEMA {settings.schema}")
    await admin.execute("CREATE TABLE surplus (number int)")  # no migration makes it
    copy = await backend.create(f"{prefix}1", NOW)
    with pytest.raises(CopyFailedError, match=r"failed: .*surplus"):
        await backend.wait(copy, PATIENT)
    found = await backend.find(copy.name)
    assert found is not None
    assert found.phase is Phase.FAILED
    await backend.delete(copy.name, copy.handle)


async def test_who_may_not_create_databases_is_told_so(
    settings: DatabaseSettings, admin: asyncpg.Connection
) -> None:
    role = f"lockstep_{uuid.uuid4().hex}"
    await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    powerless = LocalBackend(
        dataclasses.replace(settings, user=role, password="secret")  # noqa: S106
    )
    try:
        with pytest.raises(BackendRefusedError, match=f"ALTER ROLE {role} CREATEDB"):
            await powerless.check()
    finally:
        await powerless.close()
        with contextlib.suppress(asyncpg.PostgresError):
            await admin.execute(f"DROP ROLE {role}")
