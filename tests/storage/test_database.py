"""The pool heals itself, reads are tried again, and what can't be had is one clear sentence."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import socket

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.storage.backoff import delays
from app.storage.database import Database, DatabaseSettings
from app.storage.errors import (
    DatabaseBusyError,
    DatabaseRefusedError,
    DatabaseUnavailableError,
)
from tests.storage.proxy import Proxy


def refused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.mark.parametrize(
    ("changes", "error", "sentence"),
    [
        ({"port": refused_port()}, DatabaseUnavailableError, "start it with `lockstep up`"),
        ({"host": "nowhere.invalid"}, DatabaseUnavailableError, "correct database.host"),
        ({"password": "wrong"}, DatabaseRefusedError, "correct LOCKSTEP_DATABASE__PASSWORD"),
        ({"user": "nobody_here"}, DatabaseRefusedError, "nobody_here"),
        ({"name": "not_there"}, DatabaseRefusedError, "createdb not_there"),
    ],
)
async def test_what_is_wrong_is_one_sentence(
    settings: DatabaseSettings,
    changes: dict[str, object],
    error: type[Exception],
    sentence: str,
) -> None:
    wrong = dataclasses.replace(settings, **changes)  # type: ignore[arg-type]
    with pytest.raises(error, match=sentence) as raised:
        await Database(wrong).open()
    assert str(raised.value).startswith(f"The database at {wrong.host}:{wrong.port} ")
    assert str(raised.value).endswith(".")
    assert "\n" not in str(raised.value)


async def test_a_silent_server_is_given_up(settings: DatabaseSettings) -> None:
    async with Proxy(settings.host, settings.port) as proxy:
        proxy.hold()
        silent = dataclasses.replace(
            settings, host="127.0.0.1", port=proxy.port, connect_timeout=0.3
        )
        with pytest.raises(DatabaseUnavailableError, match="did not answer in time"):
            await Database(silent).open()


async def test_the_password_is_never_shown(settings: DatabaseSettings) -> None:
    assert "secret" not in repr(dataclasses.replace(settings, password="secret"))  # noqa: S106


async def test_health_names_the_server(empty: Database) -> None:
    health = await empty.health()
    assert int(health.server.split(".")[0]) >= 14
    assert health.extension is not None
    assert health.edition in ("community", "apache")
    assert health.milliseconds > 0


async def test_the_search_path_is_the_schema(database: Database) -> None:
    assert await database.fetchval("SELECT current_schema()") == database.settings.schema
    assert await database.fetchval("SELECT to_regclass('trades')") is not None
    assert await database.fetchval("SHOW timezone") == "UTC"


async def test_queries_and_copy(database: Database) -> None:
    columns = ("topic", "topic_partition", "next_offset")
    assert await database.copy("sink_offsets", columns, [("a", 0, 1), ("a", 1, 2)]) == 2
    assert (
        await database.execute("DELETE FROM sink_offsets WHERE next_offset = $1", 2) == "DELETE 1"
    )
    assert [tuple(row) for row in await database.fetch("SELECT * FROM sink_offsets")] == [
        ("a", 0, 1)
    ]
    row = await database.fetchrow("SELECT * FROM sink_offsets WHERE topic = $1", "b")
    assert row is None


async def test_a_transaction_commits_or_leaves_nothing(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("INSERT INTO sink_offsets VALUES ('kept', 0, 0)")

    async def fail() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO sink_offsets VALUES ('left', 0, 0)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await database.fetchval("SELECT array_agg(topic) FROM sink_offsets") == ["kept"]


async def test_a_mistake_in_a_query_stays_the_drivers_own(empty: Database) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await empty.fetch("SELECT * FROM not_a_table")


async def test_a_read_is_tried_again_after_its_backend_was_killed(
    empty: Database, admin: asyncpg.Connection
) -> None:
    before = await empty.fetchval("SELECT pg_backend_pid()")
    assert await admin.fetchval("SELECT pg_terminate_backend($1, 5000)", before)
    assert await empty.fetchval("SELECT pg_backend_pid()") != before


async def test_a_read_is_tried_again_after_its_server_said_goodbye(
    settings: DatabaseSettings, admin: asyncpg.Connection
) -> None:
    """Between its last word and the end of the connection, which is usually no time at all."""
    async with Proxy(settings.host, settings.port) as proxy:
        proxy.lingers = True
        through = dataclasses.replace(settings, host="127.0.0.1", port=proxy.port)
        async with Database(through) as database:
            before = await database.fetchval("SELECT pg_backend_pid()")
            assert await admin.fetchval("SELECT pg_terminate_backend($1, 5000)", before)
            await proxy.ended.wait()
            await admin.fetchval("SELECT 1")  # by now the goodbye has been read
            assert await database.fetchval("SELECT pg_backend_pid()") != before


async def test_a_copy_after_its_server_said_goodbye_finds_it_lost(
    database: Database, admin: asyncpg.Connection
) -> None:
    """As in a crash: the server's children speak before they go, between any two statements."""
    async with Proxy(database.settings.host, database.settings.port) as proxy:
        proxy.lingers = True
        through = dataclasses.replace(database.settings, host="127.0.0.1", port=proxy.port)
        async with Database(through) as far:
            with pytest.raises(DatabaseUnavailableError, match="was lost"):
                await copy_after_goodbye(far, admin, proxy)
            assert await far.fetchval("SELECT array_agg(topic) FROM sink_offsets") is None


async def copy_after_goodbye(far: Database, admin: asyncpg.Connection, proxy: Proxy) -> None:
    columns = ["topic", "topic_partition", "next_offset"]
    async with far.transaction() as connection:
        await connection.copy_records_to_table(
            "sink_offsets", columns=columns, records=[("t", 0, 0)]
        )
        async with connection.transaction():
            gone = "SELECT pg_terminate_backend($1, 5000)"
            assert await admin.fetchval(gone, connection.get_server_pid())
            await proxy.ended.wait()
            await admin.fetchval("SELECT 1")  # by now the goodbye has been read
            await connection.copy_records_to_table(
                "sink_offsets", columns=columns, records=[("t", 1, 0)]
            )


async def test_a_write_is_not_tried_again(empty: Database, admin: asyncpg.Connection) -> None:
    await admin.execute(f"CREATE SCHEMA {empty.settings.schema}")
    await admin.execute("CREATE SEQUENCE tries")
    with pytest.raises(DatabaseUnavailableError, match=r"was (lost|shut down)"):
        await empty.execute(
            "SELECT nextval('tries'), pg_terminate_backend(pg_backend_pid()), pg_sleep(5)"
        )
    assert await admin.fetchval("SELECT last_value FROM tries") == 1


async def test_a_slow_statement_is_ended_by_the_server(settings: DatabaseSettings) -> None:
    hasty = dataclasses.replace(settings, statement_timeout=0.1)
    async with Database(hasty) as database:
        with pytest.raises(DatabaseBusyError, match="did not finish a statement in time"):
            await database.fetchval("SELECT pg_sleep(5)")
        assert await database.fetchval("SELECT 1") == 1


async def test_a_full_pool_is_given_up(settings: DatabaseSettings) -> None:
    small = dataclasses.replace(settings, pool_max=1, acquire_timeout=0.1, retry_for=0)
    async with Database(small) as database, database.connection():
        with pytest.raises(DatabaseUnavailableError, match="did not answer in time"):
            await database.fetchval("SELECT 1")


async def test_a_database_that_comes_back_is_found(settings: DatabaseSettings) -> None:
    async with Proxy(settings.host, settings.port) as proxy:
        far = Database(dataclasses.replace(settings, host="127.0.0.1", port=proxy.port))
        assert await far.fetchval("SELECT 1") == 1
        await proxy.vanish()
        with pytest.raises(DatabaseUnavailableError):
            await far.health()
        reading = asyncio.create_task(far.fetchval("SELECT 2"))
        await proxy.listen()
        assert await reading == 2
        await far.close()


@given(st.floats(0.001, 1), st.floats(1, 60))
def test_delays_grow_up_to_the_longest(first: float, longest: float) -> None:
    for number, delay in enumerate(itertools.islice(delays(first, longest), 12)):
        assert 0 <= delay <= min(longest, first * 2**number)


def test_delays_differ_between_clients() -> None:
    assert len({next(delays()) for _ in range(20)}) > 1
