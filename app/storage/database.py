"""Settings enter, a pool of connections to TimescaleDB and the answers to queries leave."""

from __future__ import annotations

import asyncio
import logging
import ssl as tls
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import asyncpg

from app.storage.backoff import delays
from app.storage.errors import DatabaseUnavailableError
from app.storage.translate import translate

T = TypeVar("T")

# It logs a traceback for each failed try of the pool; every failure reaches a caller as a sentence.
logging.getLogger("asyncpg.pool").setLevel(logging.CRITICAL)

DRIVER = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What the driver raises."""


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Where the database is and how patient to be with it; times in seconds.

    Attributes:
        host: Name or address of the server.
        port: Its port.
        name: The database.
        user: Who asks.
        password: Their password; never shown.
        schema: Where the tables are; public follows it in the search path, for the extension.
        pool_min: Connections kept open.
        pool_max: Connections at most.
        connect_timeout: Until a new connection must stand.
        acquire_timeout: Until one of the pool's connections must be free.
        statement_timeout: Until a statement must be answered.
        retry_for: How long reads, and beginnings of anything, are tried again after a loss.
        ssl: How the server must prove who it is; False: not encrypted; `prefer`: where it can be.
    """

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)
    schema: str = "lockstep"
    pool_min: int = 1
    pool_max: int = 8
    connect_timeout: float = 5.0
    acquire_timeout: float = 10.0
    statement_timeout: float = 30.0
    retry_for: float = 10.0
    ssl: tls.SSLContext | str | bool = field(default="prefer", repr=False)

    @property
    def place(self) -> str:
        """The server, as host:port."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Health:
    """A database that answers.

    Attributes:
        server: Version of PostgreSQL.
        extension: Version of TimescaleDB; none where the database lacks it.
        edition: `community` or `apache`; none without the extension.
        milliseconds: How long the answer took.
    """

    server: str
    extension: str | None
    edition: str | None
    milliseconds: float


class Database:
    """A pool that opens itself at first use and speaks in sentences when it can't.

    Errors of every method: DatabaseUnavailableError (not there, or lost), DatabaseBusyError (the
    server took the work back), DatabaseRefusedError (it won't let us in); the driver's own for
    what is wrong in a query. A read is tried again after a loss, for `retry_for` seconds. What
    writes is tried again only up to its beginning: whether it happened can't be known.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Open the pool now, so that a database that is not there is known at once."""
        with self._sentences():
            await self._opened()

    async def close(self) -> None:
        """Close every connection; those in use are given a second."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            await asyncio.wait_for(pool.close(), timeout=1)
        except DRIVER:
            pool.terminate()

    @asynccontextmanager
    async def connection(self, retry_for: float | None = None) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection; a lost one is replaced before it is lent.

        Args:
            retry_for: Seconds to go on trying while there is none; the settings' otherwise.
        """
        connection = await self._again(self._acquire, retry_for)
        try:
            with self._sentences(connection):
                yield connection
        finally:
            await self._release(connection)

    @asynccontextmanager
    async def transaction(
        self, isolation: str = "read_committed", retry_for: float | None = None
    ) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection inside a transaction: committed at the end, rolled back on an error.

        When DatabaseUnavailableError comes out of it, nothing is known about the outcome.
        """
        async with (
            self.connection(retry_for) as connection,
            connection.transaction(isolation=isolation),
        ):
            yield connection

    async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        """Return the rows of a query that only reads."""
        return await self._read(lambda connection: connection.fetch(query, *arguments))

    async def fetchrow(self, query: str, *arguments: object) -> asyncpg.Record | None:
        """Return the first row of a query that only reads; None where it has none."""
        return await self._read(lambda connection: connection.fetchrow(query, *arguments))

    async def fetchval(self, query: str, *arguments: object) -> Any:
        """Return the first value of a query that only reads; None where it has none."""
        return await self._read(lambda connection: connection.fetchval(query, *arguments))

    async def execute(self, query: str, *arguments: object) -> str:
        """Run one statement and return what it says it did, for example `DELETE 3`."""
        async with self.connection() as connection:
            status: str = await connection.execute(query, *arguments)
            return status

    async def copy(
        self, table: str, columns: Sequence[str], rows: Iterable[tuple[object, ...]]
    ) -> int:
        """Append rows to a table by COPY in one transaction; return how many."""
        async with self.connection() as connection:
            status: str = await connection.copy_records_to_table(
                table, columns=columns, records=rows
            )
            return int(status.rsplit(maxsplit=1)[-1])

    async def health(self) -> Health:
        """Ask the server who it is, once and without patience."""
        async with self.connection(retry_for=0) as connection:
            begun = time.perf_counter()
            row = await connection.fetchrow(
                "SELECT current_setting('server_version') AS server, "
                "(SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS extension, "
                "current_setting('timescaledb.license', true) AS license"
            )
            elapsed = 1000 * (time.perf_counter() - begun)
        edition = {"timescale": "community", "apache": "apache"}.get(row["license"] or "")
        return Health(
            row["server"], row["extension"], edition if row["extension"] else None, elapsed
        )

    async def _read(self, query: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        async def once() -> T:
            async with self.connection(retry_for=0) as connection:
                return await query(connection)

        return await self._again(once, None)

    async def _again(self, attempt: Callable[[], Awaitable[T]], retry_for: float | None) -> T:
        patience = self.settings.retry_for if retry_for is None else retry_for
        deadline = time.monotonic() + patience
        for delay in delays():
            try:
                return await attempt()
            except DatabaseUnavailableError:
                if time.monotonic() + delay >= deadline:
                    raise
            await asyncio.sleep(delay)
        raise AssertionError  # delays never end

    async def _acquire(self) -> asyncpg.Connection:
        with self._sentences():
            pool = await self._opened()
            return await pool.acquire(timeout=self.settings.acquire_timeout)

    async def _release(self, connection: asyncpg.Connection) -> None:
        # What was done is done; a connection that can't be tidied up is thrown away by the pool.
        with suppress(*DRIVER):
            if self._pool is not None:
                await self._pool.release(connection, timeout=self.settings.connect_timeout)

    async def _opened(self) -> asyncpg.Pool:
        async with self._opening:
            if self._pool is None:
                self._pool = await self._create()
            return self._pool

    async def _create(self) -> asyncpg.Pool:
        settings = self.settings
        return await asyncpg.create_pool(
            host=settings.host,
            port=settings.port,
            database=settings.name,
            user=settings.user,
            password=settings.password,
            ssl=settings.ssl,
            min_size=settings.pool_min,
            max_size=settings.pool_max,
            timeout=settings.connect_timeout,
            # Longer than the server's own limit: it only finds a server that is silent.
            command_timeout=settings.statement_timeout + settings.connect_timeout,
            server_settings=self._session(),
        )

    def _session(self) -> dict[str, str]:
        schema = self.settings.schema.replace('"', '""')
        limit = str(int(1000 * self.settings.statement_timeout))
        return {
            "application_name": "lockstep",
            "search_path": f'"{schema}", public',
            "timezone": "UTC",
            "statement_timeout": limit,
            # A frozen client must not keep its locks for ever.
            "idle_in_transaction_session_timeout": limit,
        }

    @contextmanager
    def _sentences(self, connection: asyncpg.Connection | None = None) -> Iterator[None]:
        try:
            yield
        except DRIVER as error:
            if connection is not None and _is_confused(error):
                connection.terminate()  # whatever state it is in, nobody can use it any more
            settings = self.settings
            ours = translate(
                error,
                settings.place,
                settings.user,
                settings.name,
                closed=connection is None or is_closed(connection),
            )
            if ours is None:
                raise
            raise ours from error


def _is_confused(error: BaseException | None) -> bool:
    """Tell whether a connection lost track of itself: when it failed, or when it was tidied up."""
    while error is not None and not isinstance(error, asyncpg.InternalClientError):
        error = error.__context__
    return error is not None


def is_closed(connection: asyncpg.Connection) -> bool:
    """Tell whether a lent connection is gone."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        # The pool takes a dead connection back at once; then it answers nothing at all.
        return True
