"""A schema of its own for each test, on each server the environment names."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import AsyncIterator
from urllib.parse import unquote, urlsplit

import asyncpg
import pytest

from app.storage import migrations
from app.storage.database import Database, DatabaseSettings

PREFIX = "LOCKSTEP_DATABASE__"
SECOND = "LOCKSTEP_TEST_SECOND_DATABASE"
NUMBERS = itertools.count(1)


def servers() -> dict[str, DatabaseSettings]:
    """The servers to test on, by a name for the test's id."""
    found: dict[str, DatabaseSettings] = {}
    if PREFIX + "HOST" in os.environ:
        host, port, name, user, password = (
            os.environ[PREFIX + field] for field in ("HOST", "PORT", "NAME", "USER", "PASSWORD")
        )
        found["first"] = DatabaseSettings(host, int(port), name, user, password)
    if SECOND in os.environ:
        url = urlsplit(os.environ[SECOND])
        found["second"] = DatabaseSettings(
            url.hostname or "localhost",
            url.port or 5432,
            url.path[1:],
            unquote(url.username or ""),
            unquote(url.password or ""),
        )
    return found


SERVERS = servers()
NONE = pytest.mark.skip(reason=f"needs a database: set {PREFIX}HOST and the others")
PARAMETERS = [pytest.param(name, marks=pytest.mark.integration) for name in SERVERS] or [
    pytest.param("none", marks=[pytest.mark.integration, NONE])
]


@pytest.fixture(params=PARAMETERS)
def settings(request: pytest.FixtureRequest) -> DatabaseSettings:
    """Settings with a schema that isn't there yet; whatever is made there is dropped."""
    schema = f"test_{os.getpid()}_{next(NUMBERS)}"
    return dataclasses.replace(
        SERVERS[request.param],
        schema=schema,
        pool_max=4,
        statement_timeout=10,
        retry_for=5,
    )


@pytest.fixture
async def admin(settings: DatabaseSettings) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own, which drops the schema at the end."""
    connection = await asyncpg.connect(
        host=settings.host,
        port=settings.port,
        database=settings.name,
        user=settings.user,
        password=settings.password,
        server_settings={"search_path": f"{settings.schema}, public", "timezone": "UTC"},
    )
    try:
        yield connection
    finally:
        await connection.execute("SET client_min_messages = warning")
        await connection.execute(f"DROP SCHEMA IF EXISTS {settings.schema} CASCADE")
        await connection.close()


@pytest.fixture
async def empty(
    settings: DatabaseSettings,
    admin: asyncpg.Connection,  # noqa: ARG001 - must be closed after the pool
) -> AsyncIterator[Database]:
    """A database whose schema isn't there yet."""
    async with Database(settings) as database:
        yield database


@pytest.fixture
async def database(empty: Database) -> Database:
    """A database with the whole schema."""
    await migrations.apply(empty)
    return empty
