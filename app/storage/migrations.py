"""Numbered SQL files enter, a schema that has had each of them once leaves."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg

from app import data
from app.errors import LockstepError
from app.storage.database import Database, is_closed

SETUP = "setup.sql"
FILE = re.compile(r"(\d{3})_[a-z0-9_]+\.sql")
LONGEST = 3600.0
"""Seconds a migration may take: one that rewrites a large table has no reason to hurry."""


class MigrationError(LockstepError):
    """A migration was refused or failed; the schema is as it was before it."""


@dataclass(frozen=True, slots=True)
class Migration:
    """A file.

    Attributes:
        name: The file's name without `.sql`.
        sha256: Of its bytes, in hexadecimal.
        sql: Its text.
    """

    name: str
    sha256: str
    sql: str

    @property
    def number(self) -> int:
        """Its place in the order."""
        return int(self.name[:3])


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration as the schema remembers it.

    Attributes:
        number: Its place in the order.
        name: The file's name without `.sql`.
        sha256: Of the file as it was then.
        applied_at: When, UTC.
        edition: The edition of TimescaleDB it met.
        left_out: What that edition can't have, a sentence each.
    """

    number: int
    name: str
    sha256: str
    applied_at: datetime
    edition: str
    left_out: tuple[str, ...]


def folder() -> Path:
    """Return where the files are: in the checkout, or in the installed package."""
    return data.folder("sql")


def read(files: Path | None = None) -> list[Migration]:
    """Return every migration of a folder in order.

    Raises:
        MigrationError: There is none, or a number is missing or there twice.
    """
    where = files or folder()
    found = [_load(path) for path in sorted(where.glob("*.sql")) if FILE.fullmatch(path.name)]
    numbers = [migration.number for migration in found]
    if not numbers or numbers != list(range(1, len(numbers) + 1)):
        raise MigrationError(
            f"The migrations in {where} are numbered {numbers}, must be 1, 2, 3 and so on without "
            f"holes: restore the missing file or rename the new one."
        )
    return found


async def applied(database: Database) -> list[Applied]:
    """Return what the schema has had, in order; nothing for a schema that isn't there."""
    # Named in full: another program's table of that name may stand in public.
    there = await database.fetchval(
        "SELECT to_regclass(format('%I.schema_migrations', $1::text))", database.settings.schema
    )
    if there is None:
        return []
    found = await database.fetch(
        "SELECT number, name, sha256, applied_at, edition, left_out "
        "FROM schema_migrations ORDER BY number"
    )
    return [Applied(**{**row, "left_out": tuple(row["left_out"])}) for row in found]


async def apply(
    database: Database,
    say: Callable[[str], None] = lambda _: None,
    files: Path | None = None,
) -> list[Applied]:
    """Bring the schema up to date; several may do so at once. Return what it has had now.

    Args:
        database: Whose schema.
        say: Told the name of each migration before it is applied.
        files: The folder; that of the installation otherwise.

    Raises:
        MigrationError: A file was edited after it was applied, or fails, or the schema is newer.
    """
    migrations = read(files)
    await _set_up(database, files or folder())
    _refuse_newer(database, migrations, await applied(database))
    for migration in migrations:
        await _apply(database, migration, say)
    return await applied(database)


async def check(database: Database, files: Path | None = None) -> list[Applied]:
    """Return what the schema has had, when that is exactly what the files say.

    Raises:
        MigrationError: A migration is missing, was edited, or isn't known to this version.
    """
    migrations = read(files)
    had = await applied(database)
    _refuse_newer(database, migrations, had)
    by_number = {item.number: item for item in had}
    for migration in migrations:
        item = by_number.get(migration.number)
        if item is None:
            raise MigrationError(
                f"Schema {database.settings.schema} lacks migration {migration.name}: run "
                f"`lockstep migrate`."
            )
        if (item.name, item.sha256) != (migration.name, migration.sha256):
            raise MigrationError(
                f"Migration {migration.name} was changed after it was applied as {item.name}: "
                f"restore the file, and put the change into a new migration."
            )
    return had


def _load(path: Path) -> Migration:
    content = path.read_bytes()
    return Migration(path.stem, hashlib.sha256(content).hexdigest(), content.decode())


def _refuse_newer(
    database: Database, migrations: Sequence[Migration], had: Sequence[Applied]
) -> None:
    known = {migration.number for migration in migrations}
    unknown = [item.name for item in had if item.number not in known]
    if unknown:
        raise MigrationError(
            f"Schema {database.settings.schema} has migration {unknown[0]}, which this version of "
            f"lockstep does not know: install the version that made it, or a newer one."
        )


async def _set_up(database: Database, files: Path) -> None:
    schema = database.settings.schema.replace('"', '""')
    async with database.transaction() as connection:
        await _lock(connection, database)
        await connection.execute("SET LOCAL client_min_messages = warning")
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        await _run(connection, SETUP, (files / SETUP).read_text())


async def _apply(database: Database, migration: Migration, say: Callable[[str], None]) -> None:
    async with database.transaction() as connection:
        await _lock(connection, database)
        if not await _due(connection, migration):
            return
        say(migration.name)
        await _run(connection, migration.name, migration.sql)
        await connection.execute(
            "SELECT record_migration($1, $2)", migration.name, migration.sha256
        )


async def _due(connection: asyncpg.Connection, migration: Migration) -> bool:
    try:
        due: bool = await connection.fetchval(
            "SELECT migration_due($1, $2)", migration.name, migration.sha256
        )
    except asyncpg.RaiseError as error:
        raise MigrationError(_sentence(str(error))) from error
    return due


async def _lock(connection: asyncpg.Connection, database: Database) -> None:
    # The same key as in deploy_schema.sh; the lock goes with the transaction.
    await connection.execute("SET LOCAL statement_timeout = 0")
    await connection.fetchval(
        "SELECT pg_advisory_xact_lock(hashtextextended('lockstep migrations of ' || $1, 0))",
        database.settings.schema,
        timeout=LONGEST,
    )


async def _run(connection: asyncpg.Connection, name: str, sql: str) -> None:
    try:
        await connection.execute(sql, timeout=LONGEST)
    except asyncpg.RaiseError as error:
        raise MigrationError(_sentence(str(error))) from error
    except asyncpg.PostgresError as error:
        if is_closed(connection):
            raise
        raise MigrationError(f"Migration {name} failed and was undone: {error}.") from error


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
