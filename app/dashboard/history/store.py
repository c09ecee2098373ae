"""A database enters; answers read at one moment leave, with the cursor that goes on behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from app.dashboard.errors import AWAY, AnswerError
from app.dashboard.live.cursor import Cursors
from app.errors import LockstepError
from app.runtime.ports import Place
from app.storage.database import Database

OFFSETS = "SELECT topic, topic_partition, next_offset FROM sink_offsets ORDER BY 1, 2"
DATABASE = "database"
NO_TABLES = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedFunctionError,
    asyncpg.UndefinedColumnError,
)


@dataclass(frozen=True, slots=True)
class View:
    """The tables as they were at one moment.

    Attributes:
        connection: Asks them.
        cursor: What they held then, for the stream to go on behind.
    """

    connection: asyncpg.Connection
    cursor: str

    async def fetch(self, query: str, *values: object) -> list[asyncpg.Record]:
        """Return the rows of a query."""
        found: list[asyncpg.Record] = await self.connection.fetch(query, *values)
        return found

    async def fetchrow(self, query: str, *values: object) -> asyncpg.Record | None:
        """Return the first row of a query; None where it has none."""
        return await self.connection.fetchrow(query, *values)

    async def fetchval(self, query: str, *values: object) -> Any:
        """Return the first value of a query; None where it has none."""
        return await self.connection.fetchval(query, *values)


class Store:
    """The tables, for the API: they are only read.

    Args:
        database: Where they are.
        cursors: Writes where they end.
    """

    def __init__(self, database: Database, cursors: Cursors) -> None:
        self.database = database
        self._cursors = cursors

    @asynccontextmanager
    async def view(self) -> AsyncIterator[View]:
        """Lend the tables as they are at this moment.

        Raises:
            AnswerError: The database is away, or has no tables.
        """
        async with (
            spoken(self.database),
            self.database.transaction("repeatable_read") as connection,
        ):
            offsets = await connection.fetch(OFFSETS)
            held = {Place(topic, number): offset for topic, number, offset in offsets}
            yield View(connection, self._cursors.write(held))


@asynccontextmanager
async def spoken(database: Database) -> AsyncIterator[None]:
    """Turn the errors of a database into answers."""
    try:
        yield
    except NO_TABLES as error:
        schema = database.settings.schema
        sentence = f"schema {schema} lacks tables of this version: run `lockstep migrate`."
        raise AnswerError(AWAY, sentence, DATABASE) from error
    except asyncpg.QueryCanceledError as error:
        sentence = "the database took too long: ask for a shorter time, or fewer rows."
        raise AnswerError(AWAY, sentence, DATABASE) from error
    except LockstepError as error:
        raise AnswerError(AWAY, str(error), DATABASE, wait=2) from error
