"""Each migration is applied once, by Python or psql; an edited one is refused."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from app.storage import migrations
from app.storage.database import Database, DatabaseSettings
from app.storage.migrations import MigrationError

SCRIPT = "deploy_schema.sh"
NAMES = [migration.name for migration in migrations.read()]
psql = pytest.mark.skipif(shutil.which("psql") is None, reason="needs psql")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A copy of the migrations that a test may change."""
    return Path(shutil.copytree(migrations.folder(), tmp_path / "sql"))


def deploy(
    settings: DatabaseSettings, script: Path, **changes: str
) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PGHOST": settings.host,
        "PGPORT": str(settings.port),
        "PGDATABASE": settings.name,
        "PGUSER": settings.user,
        "PGPASSWORD": settings.password,
        **changes,
    }
    return subprocess.run(  # noqa: S603 - our own script
        [script, settings.schema], env=environment, capture_output=True, text=True, check=False
    )


async def catalogue(
    connection: asyncpg.Connection, schema: str
) -> dict[str, list[tuple[object, ...]]]:
    """Everything in a schema: relations, columns, indexes, functions and hypertables."""
    queries = {
        "columns": "SELECT table_name, column_name, data_type, is_nullable "
        "FROM information_schema.columns WHERE table_schema = $1 ORDER BY 1, ordinal_position",
        "indexes": "SELECT replace(indexdef, $1, '') FROM pg_indexes "
        "WHERE schemaname = $1 ORDER BY 1",
        "functions": "SELECT proname, pg_get_function_identity_arguments(p.oid) FROM pg_proc p "
        "JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname = $1 ORDER BY 1, 2",
        "hypertables": "SELECT hypertable_name, num_dimensions, compression_enabled "
        "FROM timescaledb_information.hypertables WHERE hypertable_schema = $1 ORDER BY 1",
        "rollups": "SELECT view_name, materialized_only "
        "FROM timescaledb_information.continuous_aggregates WHERE view_schema = $1 ORDER BY 1",
    }
    return {
        name: [tuple(row) for row in await connection.fetch(query, schema)]
        for name, query in queries.items()
    }


async def test_two_schemas_of_a_new_database_can_be_set_up_at_once(
    settings: DatabaseSettings, admin: asyncpg.Connection
) -> None:
    new = settings.schema  # a name of this test's own
    await admin.execute(f"CREATE DATABASE {new} TEMPLATE template0")
    try:
        both = [dataclasses.replace(settings, name=new, schema=name) for name in ("one", "other")]
        async with Database(both[0]) as one, Database(both[1]) as other:
            await asyncio.gather(*(migrations._set_up(each, migrations.folder())
                                   for each in (one, other)))  # fmt: skip
            for each in (one, other):
                assert await each.fetchval("SELECT count(*) FROM schema_migrations") == 0
    finally:
        await admin.execute(f"DROP DATABASE {new} WITH (FORCE)")


async def test_applying_twice_changes_nothing(empty: Database, admin: asyncpg.Connection) -> None:
    said: list[str] = []
    first = await migrations.apply(empty, said.append)
    before = await catalogue(admin, empty.settings.schema)
    assert said == [item.name for item in first] == NAMES
    assert await migrations.apply(empty, said.append) == first
    assert said == NAMES
    assert await catalogue(admin, empty.settings.schema) == before
    assert await migrations.check(empty) == first


async def test_the_record_says_what_the_edition_lacks(database: Database) -> None:
    edition = (await database.health()).edition
    had = await migrations.applied(database)
    left_out = [what for item in had for what in item.left_out]
    assert {item.edition for item in had} == {edition}
    if edition == "community":
        assert left_out == []
    else:
        assert len([what for what in left_out if "not a continuous aggregate" in what]) == 4
        assert any(what.startswith("compression of trades") for what in left_out)
        assert any(what.startswith("retention of trades") for what in left_out)


async def test_a_schema_that_is_not_there_has_had_nothing(empty: Database) -> None:
    assert await migrations.applied(empty) == []
    with pytest.raises(MigrationError, match="lacks migration 001_market: run `lockstep migrate`"):
        await migrations.check(empty)


def edit(files: Path) -> None:
    path = files / f"{NAMES[1]}.sql"
    path.write_text(path.read_text() + "\n-- a second thought\n")


def rename(files: Path) -> None:
    (files / f"{NAMES[1]}.sql").rename(files / "002_other.sql")


@pytest.mark.parametrize(("change", "name"), [(edit, NAMES[1]), (rename, "002_other")])
async def test_an_edited_migration_is_refused_by_name(
    database: Database, files: Path, change: Callable[[Path], None], name: str
) -> None:
    before = await migrations.applied(database)
    change(files)
    sentence = rf"^Migration {name} was changed after it was applied as {NAMES[1]}"
    with pytest.raises(MigrationError, match=sentence):
        await migrations.apply(database, files=files)
    with pytest.raises(MigrationError, match=sentence):
        await migrations.check(database, files)
    assert await migrations.applied(database) == before


async def test_a_newer_schema_is_refused(database: Database, files: Path) -> None:
    (files / f"{NAMES[-1]}.sql").unlink()
    for attempt in (migrations.apply(database, files=files), migrations.check(database, files)):
        with pytest.raises(MigrationError, match=f"has migration {NAMES[-1]}, which this version"):
            await attempt


async def test_a_failing_migration_leaves_nothing(
    database: Database, admin: asyncpg.Connection, files: Path
) -> None:
    number = len(NAMES) + 1
    (files / f"{number:03}_bad.sql").write_text("CREATE TABLE half (id int); SELECT 1 / 0;")
    with pytest.raises(MigrationError, match=f"Migration {number:03}_bad failed and was undone"):
        await migrations.apply(database, files=files)
    assert await admin.fetchval("SELECT to_regclass('half')") is None
    assert len(await migrations.applied(database)) == len(NAMES)


def test_a_missing_number_is_refused(files: Path) -> None:
    (files / f"{NAMES[2]}.sql").unlink()
    with pytest.raises(MigrationError, match=r"numbered \[1, 2, 4, .*without holes"):
        migrations.read(files)


async def test_two_at_once_apply_each_migration_once(
    settings: DatabaseSettings, admin: asyncpg.Connection
) -> None:
    said: list[str] = []
    async with Database(settings) as one, Database(settings) as other:
        results = await asyncio.gather(
            migrations.apply(one, said.append), migrations.apply(other, said.append)
        )
    assert results[0] == results[1]
    assert said == NAMES
    assert await admin.fetchval("SELECT count(*) FROM schema_migrations") == len(NAMES)


@psql
async def test_psql_deploys_the_very_same_schema(
    database: Database, settings: DatabaseSettings, admin: asyncpg.Connection
) -> None:
    other = dataclasses.replace(settings, schema=settings.schema + "_psql")
    try:
        for expected in (len(NAMES), 0):
            ran = deploy(other, migrations.folder() / SCRIPT)
            assert ran.returncode == 0, ran.stderr
            assert ran.stdout.count("applying") == expected
            assert f"up to date: {len(NAMES)} migrations" in ran.stdout
        assert await catalogue(admin, other.schema) == await catalogue(admin, settings.schema)
        async with Database(other) as there:
            made = await migrations.check(there)
            assert await migrations.apply(there) == made
        assert [(item.name, item.sha256, item.edition, item.left_out) for item in made] == [
            (item.name, item.sha256, item.edition, item.left_out)
            for item in await migrations.check(database)
        ]
    finally:
        await admin.execute("SET client_min_messages = warning")
        await admin.execute(f"DROP SCHEMA {other.schema} CASCADE")


@psql
async def test_psql_refuses_an_edited_migration(database: Database, files: Path) -> None:
    edit(files)
    ran = deploy(database.settings, files / SCRIPT)
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"deploy_schema: migration {NAMES[1]} was changed after it was")
    assert ran.stderr.count("\n") == 1


@psql
async def test_psql_says_in_one_sentence_what_is_wrong(database: Database, files: Path) -> None:
    settings = database.settings
    bad = f"{len(NAMES) + 1:03}_bad"
    (files / f"{bad}.sql").write_text("SELECT 1;\nSELECT 1 / 0;")
    for changes, code, sentence in (
        ({}, 1, f"migration {bad} failed in line 2: division by zero"),
        ({"PGPASSWORD": "wrong"}, 4, "the database could not be reached: "),
        ({"PGPORT": "1"}, 4, "the database could not be reached: "),
    ):
        ran = deploy(settings, files / SCRIPT, **changes)
        assert (ran.returncode, ran.stdout) == (code, f"applying {bad}\n" if code == 1 else "")
        assert ran.stderr.startswith(f"deploy_schema: {sentence}")
        assert ran.stderr.count("\n") == 1
    odd = deploy(dataclasses.replace(settings, schema='x"; DROP'), files / SCRIPT)
    assert (odd.returncode, odd.stderr.count("\n")) == (2, 1)
