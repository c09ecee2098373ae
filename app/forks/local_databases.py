"""The databases of a server enter as copies of ours; a copy is made, described and dropped.

What a copy is stands in the comment of its database, which every database of the server can read. A
new database lets nobody in until it has one, so that one without is empty.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from app.forks.backend import DEVELOPMENT, BackendRefusedError, Copy, GuardError, Phase
from app.forks.guard import refusal
from app.storage.database import Database

LIST = """
SELECT d.datname, d.datallowconn, d.datistemplate, shobj_description(d.oid, 'pg_database') AS told,
    EXISTS (
        SELECT FROM pg_locks l
        WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended(d.datname, 0)
    ) AS making
FROM pg_database d WHERE starts_with(d.datname, $1) ORDER BY d.oid
"""
# Utility statements take no parameters: the server itself quotes what is put into them.
CREATE = """
SELECT format(
    'CREATE DATABASE %I TEMPLATE template0 ALLOW_CONNECTIONS false '
    'ENCODING %L LC_COLLATE %L LC_CTYPE %L',
    $1::text, pg_encoding_to_char(encoding), datcollate, datctype)
FROM pg_database WHERE datname = current_database()
"""
OPEN = "SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true', $1::text)"
DESCRIBE = "SELECT format('COMMENT ON DATABASE %I IS %L', $1::text, $2::text)"
DROP = "SELECT format('DROP DATABASE IF EXISTS %I WITH (FORCE)', $1::text)"
MAY_CREATE = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
SERVER = "SELECT system_identifier FROM pg_control_system()"
KIND = "lockstep fork"


class Databases:
    """The copies on one server.

    Args:
        database: A database of that server, the one that is copied.
        prefix: What their names begin with.
    """

    def __init__(self, database: Database, prefix: str) -> None:
        self._database = database
        self._prefix = prefix
        self._server = ""

    async def source(self) -> str:
        """Return the name of what is copied: database, schema, and the server by its own number."""
        if not self._server:
            self._server = str(await self._database.fetchval(SERVER))
        settings = self._database.settings
        return f"{settings.name}.{settings.schema}@{self._server}"

    async def require_rights(self) -> None:
        """Refuse to begin where no database may be created."""
        if not await self._database.fetchval(MAY_CREATE):
            settings = self._database.settings
            raise BackendRefusedError(
                f"user {settings.user} may not create databases at {settings.place}: let an "
                f"administrator run ALTER ROLE {settings.user} CREATEDB."
            )

    async def copies(self) -> list[Copy]:
        """Return every database whose name has our prefix, the oldest first."""
        source = await self.source()
        return [_copy(row, source) for row in await self._database.fetch(LIST, self._prefix)]

    @asynccontextmanager
    async def making(self, name: str) -> AsyncIterator[None]:
        """Let everybody see, until the end of this process at most, that a copy is being made."""
        async with self._database.connection() as connection:
            # It goes with the connection, and the pool takes it off one that it gets back.
            await connection.execute("SELECT pg_advisory_lock(hashtextextended($1, 0))", name)
            yield

    async def create(self, name: str) -> None:
        """Make an empty database that says what it is.

        Raises:
            BackendRefusedError: The server won't.
        """
        try:
            await self._do(CREATE, name)
        except asyncpg.PostgresError as error:
            raise BackendRefusedError(
                f"{self._database.settings.place} made no database {name}: {error}."
            ) from error
        await self.describe(name, complete=False)
        await self._do(OPEN, name)

    async def describe(self, name: str, *, complete: bool) -> None:
        """Let a database say of what it is a copy, and whether it is a whole one."""
        told = {
            "kind": KIND,
            "source": await self.source(),
            "environment": DEVELOPMENT,
            "complete": complete,
        }
        await self._do(DESCRIBE, name, json.dumps(told))

    async def drop(self, name: str, handle: str) -> None:
        """Drop a copy and whoever is connected to it; no effect where there is none.

        Raises:
            GuardError: It is not provably ours.
        """
        copy = next((copy for copy in await self.copies() if copy.handle == handle), None)
        if copy is None and handle.startswith(self._prefix):
            return
        reason = f"its name does not begin with {self._prefix!r}"
        if copy is not None:
            told = {"name": name, "handle": handle, "source": await self.source()}
            reason = refusal(copy, prefix=self._prefix, **told)
        if reason:
            raise GuardError(f"database {handle} was not dropped, because {reason}: look at it.")
        await self._do(DROP, handle)

    async def _do(self, query: str, *values: str) -> None:
        async with self._database.connection() as connection:
            await connection.execute(await connection.fetchval(query, *values))


def _copy(row: asyncpg.Record, source: str) -> Copy:
    told = _told(row["told"])
    # Nobody could ever connect to it, so it is the empty database that we began to make.
    unborn = row["told"] is None and not row["datallowconn"]
    ours = told.get("kind") == KIND
    return Copy(
        name=row["datname"],
        handle=row["datname"],
        source=source if unborn else str(told.get("source")) if ours else None,
        standby=row["datistemplate"],
        environment=DEVELOPMENT if unborn else str(told.get("environment", "")),
        **_progress(complete=told.get("complete") is True, making=row["making"]),
    )


def _progress(*, complete: bool, making: bool) -> dict[str, Any]:
    if complete:
        return {"phase": Phase.READY}
    if making:
        return {"phase": Phase.CREATING}
    return {"phase": Phase.FAILED, "detail": "whoever made it did not come to the end"}


def _told(comment: str | None) -> dict[str, Any]:
    try:
        told = json.loads(comment or "{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
