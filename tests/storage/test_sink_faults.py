"""A database that dies, hangs or answers nothing delays the sink, and loses and doubles nothing."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest
import structlog

from app.storage.database import Database, DatabaseSettings
from app.storage.errors import DatabaseRefusedError
from app.storage.sink import Place, Sink, Transaction
from app.storage.store import PostgresStore, PostgresTransaction
from app.storage.tables import Table
from app.storage.values import Row
from tests.storage import samples
from tests.storage.proxy import COMMIT_REQUEST, COMMITTED, Proxy
from tests.storage.samples import placed
from tests.storage.test_sink import contents, folded

LOG = [
    *placed("signals", [samples.signal(number) for number in range(5)]),
    *placed("trades", [samples.trades([1, 2, 3])]),
]
POINTS = ["lock", "locked", "insert", "inserted", "move", "moved"]


class Killer:
    """A store whose own server process is killed, once, at a chosen point of a transaction."""

    def __init__(self, store: PostgresStore, admin: asyncpg.Connection, point: str) -> None:
        self._store = store
        self._admin = admin
        self._point = point
        self.kills = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        async with self._store.transaction() as inner:
            yield _Doomed(inner, self)

    async def positions(self) -> dict[Place, int]:
        return await self._store.positions()

    async def at(self, point: str, connection: asyncpg.Connection) -> None:
        if point == self._point and not self.kills:
            gone = "SELECT pg_terminate_backend($1, 5000)"
            self.kills += await self._admin.fetchval(gone, connection.get_server_pid())


class _Doomed:
    def __init__(self, inner: PostgresTransaction, killer: Killer) -> None:
        self._inner = inner
        self._killer = killer

    async def _at(self, point: str) -> None:
        await self._killer.at(point, self._inner._connection)

    async def lock(self, places: Sequence[Place]) -> dict[Place, int]:
        await self._at("lock")
        held = await self._inner.lock(places)
        await self._at("locked")
        return held

    async def insert(self, table: Table, batch: Sequence[Row]) -> None:
        await self._at("insert")
        await self._inner.insert(table, batch)
        await self._at("inserted")

    async def move(self, offsets: Mapping[Place, int]) -> None:
        await self._at("move")
        await self._inner.move(offsets)
        await self._at("moved")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
async def proxy(settings: DatabaseSettings) -> AsyncIterator[Proxy]:
    async with Proxy(settings.host, settings.port) as proxy:
        yield proxy


@pytest.fixture
async def far(database: Database, proxy: Proxy) -> AsyncIterator[Database]:
    """The migrated database, reached through the proxy and with little patience."""
    settings = dataclasses.replace(
        database.settings,
        host="127.0.0.1",
        port=proxy.port,
        connect_timeout=0.5,
        statement_timeout=0.5,
        pool_max=2,
    )
    far = Database(settings)
    yield far
    await far.close()


@pytest.mark.parametrize("point", POINTS)
async def test_a_killed_backend_loses_and_doubles_nothing(
    database: Database, admin: asyncpg.Connection, point: str, said: list[str]
) -> None:
    killer = Killer(PostgresStore(database), admin, point)
    sink = Sink(killer, said.append)
    assert await sink.write(LOG) == len(LOG)
    assert killer.kills == 1
    assert await contents(admin) == folded(LOG)
    assert said[0].startswith("the database, since 20")
    assert said[-1] == ""


async def test_a_lost_answer_to_commit_is_found_to_have_committed(
    far: Database, proxy: Proxy, admin: asyncpg.Connection, said: list[str]
) -> None:
    sink = Sink(PostgresStore(far), said.append)
    await sink.write(LOG[:2])
    proxy.cut("answered", COMMITTED)
    # Nothing was left to do when the sink read again: the lost answer had been a yes.
    assert await sink.write(LOG) == 0
    assert proxy.cuts == 1
    assert len(said) == 2
    assert await contents(admin) == folded(LOG)
    assert await sink.positions() == {("signals", 0): 5, ("trades", 0): 1}


async def test_a_lost_commit_is_done_again(
    far: Database, proxy: Proxy, admin: asyncpg.Connection, said: list[str]
) -> None:
    sink = Sink(PostgresStore(far), said.append)
    await sink.write(LOG[:2])
    proxy.cut("asked", COMMIT_REQUEST)
    assert await sink.write(LOG) == len(LOG) - 2
    assert proxy.cuts == 1
    assert await contents(admin) == folded(LOG)


async def test_a_silent_network_is_given_up_and_tried_again(
    far: Database, proxy: Proxy, admin: asyncpg.Connection
) -> None:
    """Bytes that were held arrive late, after the sink has given their connection up."""
    waits: asyncio.Queue[str] = asyncio.Queue()
    sink = Sink(PostgresStore(far), waits.put_nowait)
    await sink.write(LOG[:1])
    proxy.hold()
    writing = asyncio.create_task(sink.write(LOG))
    assert "did not answer in time" in await waits.get()
    proxy.release()
    await writing
    assert await contents(admin) == folded(LOG)


async def test_a_database_that_is_not_there_is_waited_for(
    far: Database, proxy: Proxy, admin: asyncpg.Connection
) -> None:
    waits: asyncio.Queue[str] = asyncio.Queue()
    sink = Sink(PostgresStore(far), waits.put_nowait)
    await proxy.vanish()
    writing = asyncio.create_task(sink.write(LOG))
    assert "connection refused" in await waits.get()
    first, second = await waits.get(), await waits.get()
    assert first.split(": ")[0] == second.split(": ")[0], "the time it is down since must stay"
    await proxy.listen()
    assert await writing == len(LOG)
    assert await contents(admin) == folded(LOG)


@pytest.mark.parametrize("code", ["40001", "40P01", "53100", "53200", "57P03", "55P03"])
async def test_what_the_server_takes_back_is_tried_again(
    database: Database, admin: asyncpg.Connection, code: str, said: list[str]
) -> None:
    """The real server raises the error once: a sequence remembers through the rollback."""
    await admin.execute("CREATE SEQUENCE tries")
    await admin.execute(
        f"CREATE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF nextval('tries') = 1 THEN RAISE 'not now' USING ERRCODE = '{code}'; END IF; "
        f"RETURN NEW; END $$"
    )
    await admin.execute(
        "CREATE TRIGGER once BEFORE UPDATE ON sink_offsets FOR EACH ROW "
        "EXECUTE FUNCTION fail_once()"
    )
    sink = Sink(PostgresStore(database), said.append)
    assert await sink.write(LOG) == len(LOG)
    assert await admin.fetchval("SELECT last_value FROM tries") > 1
    assert len(said) == 2
    assert await contents(admin) == folded(LOG)


async def test_a_real_deadlock_is_survived(
    database: Database, admin: asyncpg.Connection, said: list[str]
) -> None:
    sink = Sink(PostgresStore(database), said.append)
    await sink.write([*LOG[:1], *LOG[5:]])
    # Another that locks in the other order, and lets the server choose the sink as the victim.
    await admin.execute("SET deadlock_timeout = '1min'")
    async with admin.transaction():
        await lock(admin, "trades")
        writing = asyncio.create_task(sink.write([*LOG[:5], LOG[5]]))
        await until_blocked(database, admin.get_server_pid())
        await lock(admin, "signals")
    assert await writing == 4
    assert "deadlock" in said[0]
    assert await contents(admin) == folded(LOG)


async def lock(admin: asyncpg.Connection, topic: str) -> None:
    await admin.execute("SELECT FROM sink_offsets WHERE topic = $1 FOR UPDATE", topic)


async def until_blocked(watcher: Database, pid: int) -> None:
    """Return once somebody waits for a lock of the server process `pid`."""
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND $1 = ANY(pg_blocking_pids(pid))"
    async with asyncio.timeout(60):
        while not await watcher.fetchval(query, pid):
            pass


class Freezing(PostgresStore):
    """A store that stops at a point of its transaction, until it is thawed."""

    def __init__(self, database: Database, point: str = "written") -> None:
        super().__init__(database)
        self._point = point
        self.entered = asyncio.Event()
        self.thaw = asyncio.Event()
        self.pid = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresTransaction]:
        async with super().transaction() as inner:
            frozen = _Frozen(inner._connection, inner._database)
            frozen.store = self
            yield frozen
            await self.at("written", inner._connection)

    async def at(self, point: str, connection: asyncpg.Connection) -> None:
        if point == self._point:
            self.pid = connection.get_server_pid()
            self.entered.set()
            await self.thaw.wait()


class _Frozen(PostgresTransaction):
    store: Freezing

    async def lock(self, places: Sequence[Place]) -> dict[Place, int]:
        held = await super().lock(places)
        await self.store.at("locked", self._connection)
        return held

    async def _copy(self, name: str, table: Table, batch: Sequence[Row]) -> None:
        async def rows() -> AsyncIterator[Row]:
            yield batch[0]
            await self.store.at("copying", self._connection)
            for row in batch[1:]:
                yield row

        await super()._copy(name, table, rows() if batch[1:] else batch)  # type: ignore[arg-type]


@pytest.mark.parametrize("point", ["locked", "written"])
@pytest.mark.parametrize("begun", [0, 2])
async def test_a_frozen_sink_is_waited_for_and_its_work_kept(
    database: Database, admin: asyncpg.Connection, begun: int, point: str
) -> None:
    """A zombie that has not committed: its successor stores nothing twice."""
    log = LOG[:5]  # one partition: a new one among others would be waited for anyway
    await Sink(PostgresStore(database)).write(log[:begun])
    frozen = Freezing(database, point)
    zombie = asyncio.create_task(Sink(frozen).write(log))
    await frozen.entered.wait()
    successor = asyncio.create_task(Sink(PostgresStore(database)).write(log))
    await until_blocked(database, frozen.pid)
    frozen.thaw.set()
    assert (await zombie, await successor) == (len(log) - begun, 0)
    assert await contents(admin) == folded(log)


async def test_a_sink_frozen_too_long_loses_its_locks(
    far: Database, database: Database, admin: asyncpg.Connection, said: list[str]
) -> None:
    """The server ends the zombie's transaction, the successor goes on, the zombie finds out."""
    frozen = Freezing(far)
    zombie = asyncio.create_task(Sink(frozen, said.append).write(LOG))
    await frozen.entered.wait()
    assert await Sink(PostgresStore(database)).write(LOG) == len(LOG)
    frozen.thaw.set()
    assert await zombie == 0
    assert said
    assert await contents(admin) == folded(LOG)


@pytest.fixture
async def near(database: Database) -> AsyncIterator[Database]:
    """The migrated database, whose server ends what lasts a second, and whose client is patient."""
    settings = dataclasses.replace(database.settings, statement_timeout=1, connect_timeout=60)
    async with Database(settings) as near:
        yield near


async def test_a_sink_frozen_in_a_copy_is_outlasted(
    near: Database, admin: asyncpg.Connection, said: list[str]
) -> None:
    """No timeout of the server's counts there: the successor ends that session, and no other."""
    frozen = Freezing(near, "copying")
    zombie = asyncio.create_task(Sink(frozen, said.append).write(LOG))
    await frozen.entered.wait()
    with structlog.testing.capture_logs() as logged:
        assert await Sink(PostgresStore(near)).write(LOG) == len(LOG)
    (ended,) = [entry for entry in logged if entry["event"] == "holder ended"]
    assert f"session {frozen.pid} from " in ended["reason"]
    frozen.thaw.set()
    assert await zombie == 0
    assert said[-1] == ""
    assert await contents(admin) == folded(LOG)


async def test_another_s_session_is_not_ended(
    near: Database, settings: DatabaseSettings, admin: asyncpg.Connection
) -> None:
    """Of another name, though in a COPY; or of ours, though not in one."""
    ours = await asyncpg.connect(
        host=settings.host,
        port=settings.port,
        database=settings.name,
        user=settings.user,
        password=settings.password,
        server_settings={"application_name": "lockstep", "search_path": settings.schema},
    )
    await Sink(PostgresStore(near)).write(LOG[:1])
    thaw = asyncio.Event()
    async with admin.transaction():
        await lock(admin, "signals")
        await admin.execute("CREATE TEMPORARY TABLE other (n int) ON COMMIT DROP")
        copying = asyncio.create_task(
            admin.copy_records_to_table("other", records=until(thaw))  # type: ignore[arg-type]
        )
        waits: asyncio.Queue[str] = asyncio.Queue()
        writing = asyncio.create_task(Sink(PostgresStore(near), waits.put_nowait).write(LOG[:2]))
        await thrice(waits)
        thaw.set()
        await copying
    assert await writing == 1
    async with ours.transaction():
        await lock(ours, "signals")
        writing = asyncio.create_task(Sink(PostgresStore(near), waits.put_nowait).write(LOG[:3]))
        await thrice(waits)
        assert await ours.fetchval("SELECT 1") == 1
    assert await writing == 1
    await ours.close()


async def thrice(waits: asyncio.Queue[str]) -> None:
    """Return once a lock was waited for in vain three times, a statement's whole time each."""
    told = 0
    while told < 3:
        told += "did not finish a statement in time" in await waits.get()


async def until(thaw: asyncio.Event) -> AsyncIterator[tuple[int]]:
    yield (1,)
    await thaw.wait()


async def test_a_wrong_password_is_not_waited_for(settings: DatabaseSettings) -> None:
    sink = Sink(PostgresStore(Database(dataclasses.replace(settings, password="wrong"))))  # noqa: S106
    with pytest.raises(DatabaseRefusedError, match="refused the password"):
        await sink.write(LOG)
