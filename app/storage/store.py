"""Batches of rows and offsets enter, TimescaleDB's tables hold them; the sink's door to asyncpg."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import asyncpg

from app.storage.database import Database
from app.storage.holders import outlasted
from app.storage.sink import ConflictError, Place
from app.storage.tables import Table
from app.storage.trade_rows import TradeRows
from app.storage.values import Row

STAGING = "staged"


class PostgresTransaction:
    """One transaction of a connection; see `sink.Transaction`."""

    def __init__(self, connection: asyncpg.Connection, database: Database) -> None:
        self._connection = connection
        self._database = database

    async def lock(self, places: Sequence[Place]) -> dict[Place, int]:
        """Lock each partition's row until the end and return its next offset, 0 where new.

        Where a process frozen in a COPY holds one, its session is ended; see `holders`.
        """
        async with outlasted(self._database, self._connection):
            return await self._lock(places)

    async def _lock(self, places: Sequence[Place]) -> dict[Place, int]:
        topics, partitions = zip(*places, strict=True)
        await self._connection.execute(
            "INSERT INTO sink_offsets SELECT *, 0 FROM unnest($1::text[], $2::int[]) "
            "ON CONFLICT DO NOTHING",
            topics,
            partitions,
        )
        found = await self._connection.fetch(
            "SELECT topic, topic_partition, next_offset FROM sink_offsets "
            "WHERE (topic, topic_partition) IN (SELECT * FROM unnest($1::text[], $2::int[])) "
            "ORDER BY topic, topic_partition FOR UPDATE",
            topics,
            partitions,
        )
        return {(topic, partition): offset for topic, partition, offset in found}

    async def insert(self, table: Table, batch: Sequence[Row]) -> None:
        """Add rows; one whose key is there already is left as it is.

        Straight COPY first: it is up to twice as fast as staging, and repeats are rare. One repeat
        takes it back, and the batch is staged.

        Raises:
            ConflictError: The row that is there is another record's.
        """
        try:
            async with self._connection.transaction():
                await self._copy(table.name, table, batch)
        except asyncpg.UniqueViolationError:
            await self._insert_new(table, batch)

    async def move(self, offsets: Mapping[Place, int]) -> None:
        """Set the next offset of each partition."""
        await self._connection.executemany(
            "UPDATE sink_offsets SET next_offset = $3 WHERE topic = $1 AND topic_partition = $2",
            [(*place, offset) for place, offset in offsets.items()],
        )

    async def _copy(self, name: str, table: Table, batch: Sequence[Row]) -> None:
        packed = batch.packed() if isinstance(batch, TradeRows) else None
        if packed is None:
            await self._connection.copy_records_to_table(name, columns=table.columns, records=batch)
        else:
            await self._connection.copy_to_table(
                name, columns=table.columns, source=_parts(packed), format="binary"
            )

    async def _insert_new(self, table: Table, batch: Sequence[Row]) -> None:
        await self._connection.execute(
            f"CREATE TEMPORARY TABLE {STAGING} (LIKE {table.name}) ON COMMIT DROP"
        )
        await self._copy(STAGING, table, batch)
        key = ", ".join(table.key)
        await self._connection.execute(
            f"INSERT INTO {table.name} SELECT * FROM {STAGING} "  # noqa: S608 - names of ours
            f"ORDER BY topic_partition, topic_offset ON CONFLICT ({key}) DO NOTHING"
        )
        if table.derived:
            await self._refuse_conflict(table, key)
        await self._connection.execute(f"DROP TABLE {STAGING}")

    async def _refuse_conflict(self, table: Table, key: str) -> None:
        found = await self._connection.fetchrow(
            f"SELECT new.identity AS new, old.identity AS old "  # noqa: S608 - names of ours
            f"FROM {STAGING} new JOIN {table.name} old USING ({key}) "
            f"WHERE new.identity <> old.identity LIMIT 1"
        )
        if found:
            raise ConflictError(
                f"Table {table.name} holds {found['old']!r} where {found['new']!r} belongs, under "
                f"the same {key}: two runs write into this schema, or a stage is not "
                f"deterministic; give each run a schema of its own, and `lockstep verify` this one."
            )


class PostgresStore:
    """The tables of a database; see `sink.Store`. The sink has the patience, so this has none."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresTransaction]:
        """Begin; commit at the end, roll back on an error."""
        async with self._database.transaction(retry_for=0) as connection:
            yield PostgresTransaction(connection, self._database)

    async def positions(self) -> dict[Place, int]:
        """Return the next offset of each partition that has begun."""
        found = await self._database.fetch(
            "SELECT topic, topic_partition, next_offset FROM sink_offsets"
        )
        return {(topic, partition): offset for topic, partition, offset in found}


async def _parts(packed: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in packed:
        yield part
