"""What can happen to the database: a site at work enters, and whether the fault met work leaves."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal

import asyncpg

from app.storage.errors import DatabaseRefusedError
from app.storage.tables import TABLES
from tests.faults.site import BUSY, Site, StuckError

MINUTE = 60.0
SLOW = (0.3, 10.0)
"""By how many seconds every answer is late, and for how long."""


async def connections_killed(site: Site) -> bool:
    """End the workers' connections on the database's side."""
    ports = [writer.get_extra_info("sockname")[1] for writer in site.proxy._writers[1::2]]
    ended = await site.database.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port = ANY($1::int[])",
        ports,
    )
    return bool(ended)


async def database_refuses(site: Site) -> bool:
    await site.proxy.vanish()
    await asyncio.sleep(1 + 6 * site.chance.random())
    await site.proxy.listen()
    return True


async def database_silent(site: Site) -> bool:
    site.proxy.hold()
    await asyncio.sleep(1 + 12 * site.chance.random())
    site.proxy.release()
    return True


async def database_refuses_for_a_minute(site: Site) -> bool:
    await site.proxy.vanish()
    await trades_on(site)
    await site.proxy.listen()
    return True


async def database_silent_for_a_minute(site: Site) -> bool:
    site.proxy.hold()
    await trades_on(site)
    site.proxy.release()
    return True


async def trades_on(site: Site) -> None:
    """Let a minute pass in which the stages must go on by themselves."""
    made = await site.made()
    await asyncio.sleep(MINUTE)
    if await site.made() < made + BUSY:
        raise StuckError("the stages did not go on while the database was away")


async def database_slow(site: Site) -> bool:
    site.proxy.delay, seconds = SLOW
    await asyncio.sleep(seconds)
    site.proxy.delay = 0.0
    return True


async def database_killed(site: Site) -> bool:
    """Kill the server itself; it recovers from its log when it is started again."""
    if site.postgres is None:
        return False
    site.postgres.send(signal.SIGKILL)
    await asyncio.sleep(4 * site.chance.random())
    await site.postgres.again()
    return True


async def taken_back(site: Site, code: str) -> bool:
    """Let a trigger raise an error of PostgreSQL's in the sink's transactions, for a while."""
    async with raising(site, code):

        async def met() -> bool:
            return bool(await site.database.fetchval("SELECT is_called FROM tries"))

        found = await site.soon(met)
        await asyncio.sleep(3 * site.chance.random())
    return found


@asynccontextmanager
async def raising(site: Site, code: str) -> AsyncIterator[None]:
    function = f"PERFORM nextval('tries'); RAISE 'not now' USING ERRCODE = '{code}';"
    make = [
        "CREATE SEQUENCE tries",  # which remembers through the rollback
        f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {function} END $$",
        "CREATE TRIGGER failing BEFORE UPDATE ON sink_offsets FOR EACH ROW EXECUTE FUNCTION fail()",
    ]
    for statement in make:
        await site.database.execute(statement)
    try:
        yield
    finally:
        await site.database.execute("DROP FUNCTION fail CASCADE")
        await site.database.execute("DROP SEQUENCE tries")


async def deadlock(site: Site) -> bool:
    """Lock rows of sink_offsets in the other order, and let the server choose the sink."""

    async def met() -> bool:
        try:
            async with site.database.transaction() as connection:
                return await crossed(site, connection)
        except DatabaseRefusedError:  # a role that may not say who is to be the victim
            return False

    return await site.soon(met)


async def crossed(site: Site, ours: asyncpg.Connection) -> bool:
    """Return whether the sink and we each waited for the other; then it was we who went on."""
    await ours.execute("SET LOCAL deadlock_timeout = '1min'")
    await ours.execute("SELECT FROM sink_offsets WHERE topic = 'trades' FOR UPDATE")
    pid = ours.get_server_pid()
    if not await site.soon(asking(site, "$1 = ANY(pg_blocking_pids(pid))", pid), 3.0):
        return False
    rest = asyncio.create_task(
        ours.execute("SELECT FROM sink_offsets WHERE topic < 'trades' FOR UPDATE")
    )
    waits = asking(site, "$1 = ANY(pg_blocking_pids(pid)) AND pid = ANY(pg_blocking_pids($1))", pid)
    circle = await site.soon(waits, 0.5)
    await rest
    return circle


def asking(site: Site, condition: str, pid: int) -> Callable[[], Awaitable[bool]]:
    async def ask() -> bool:
        query = f"SELECT count(*) FROM pg_locks WHERE NOT granted AND {condition}"  # noqa: S608
        return bool(await site.database.fetchval(query, pid))

    return ask


async def commit_lost(site: Site, way: Literal["asked", "answered"], message: bytes) -> bool:
    cuts = site.proxy.cuts
    site.proxy.cut(way, message)

    async def cut() -> bool:
        return site.proxy.cuts > cuts

    return await site.soon(cut)


async def older_database(site: Site) -> bool:
    """Put the database back to what it held a while ago."""
    schema = site.installation.schema
    copies = [(name, f"{schema}_old.{name}") for name in (*TABLES, "sink_offsets")]
    async with site.database.transaction("repeatable_read") as connection:
        await connection.execute(f"CREATE SCHEMA {schema}_old")
        for name, copy in copies:
            await connection.execute(f"CREATE TABLE {copy} AS TABLE {name}")
    await site.works(200)
    await site.proxy.vanish()
    async with site.database.transaction() as connection:
        for name, copy in copies:
            await connection.execute(f"TRUNCATE {name}")
            await connection.execute(f"INSERT INTO {name} TABLE {copy}")
        await connection.execute("SET LOCAL client_min_messages = warning")
        await connection.execute(f"DROP SCHEMA {schema}_old CASCADE")
    await site.proxy.listen()
    return True
