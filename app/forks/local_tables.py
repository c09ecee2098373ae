"""A database that is in use and an empty one enter; the second holds what the first held, exactly.

Every reader shares one snapshot of the source, so the copy is the source as it was at one instant
between two transactions, while the sink goes on writing; the tables are made by our own migrations.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from app.storage.database import Database

READERS = 2
"""Parts that are copied at once; more only take turns where a server has few cores."""
BUFFERED = 8
"""Blocks, of 64 KiB or less, between a reader and its writer."""

TABLES = """
SELECT c.relname AS name, quote_ident(c.relname) AS quoted,
    string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS columns,
    array_agg(a.attname::text ORDER BY a.attnum) AS names
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = $1::text::regnamespace AND c.relkind = 'r'
  AND c.relname <> 'schema_migrations'
  AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
GROUP BY c.relname ORDER BY c.relname
"""
CHUNKS = """
SELECT c.hypertable_name AS name, quote_ident(d.column_name) AS time,
    min(c.range_start) AS since, max(c.range_end) AS until
FROM timescaledb_information.chunks c
JOIN timescaledb_information.dimensions d USING (hypertable_schema, hypertable_name)
WHERE c.hypertable_schema = $1 AND d.dimension_number = 1
GROUP BY c.hypertable_name, d.column_name, c.range_start ORDER BY c.range_start
"""
SHARE = "SELECT format('SET TRANSACTION SNAPSHOT %L', $1::text)"


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that are copied in one go.

    Attributes:
        table: Their table.
        query: What reads them.
        columns: Their columns.
    """

    table: str
    query: str
    columns: tuple[str, ...]


async def copy_all(source: Database, target: Database) -> None:
    """Copy every table of the source's schema into the target's, which has them empty.

    Args:
        source: Where the rows are; `pool_max` must allow one connection more than READERS.
        target: Where they go, with the same schema.
    """
    async with _snapshot(source) as (share, parts):
        waiting = list(reversed(parts))

        async def work() -> None:
            async with _reader(source, share) as reader, target.connection() as writer:
                while waiting:
                    await _copy_part(reader, writer, waiting.pop(), target.settings.schema)

        async with asyncio.TaskGroup() as group:
            for _ in range(READERS):
                group.create_task(work())


@asynccontextmanager
async def _snapshot(source: Database) -> AsyncIterator[tuple[str, list[Part]]]:
    """Hold the source as it is now; give what lets others read it so, and what there is to read."""
    async with source.transaction("repeatable_read") as connection:
        snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
        share = await connection.fetchval(SHARE, snapshot)
        yield share, await _parts(connection, source.settings.schema)


@asynccontextmanager
async def _reader(source: Database, share: str) -> AsyncIterator[asyncpg.Connection]:
    async with source.transaction("repeatable_read") as connection:
        # A utility statement takes no parameters, and must be the first of its transaction.
        await connection.execute(share)
        yield connection


async def _parts(connection: asyncpg.Connection, schema: str) -> list[Part]:
    """Return what there is to copy: a table, or a stretch of time of a table that has chunks."""
    stretches: dict[str, list[str]] = {}
    for row in await connection.fetch(CHUNKS, schema):
        since, until = row["since"].isoformat(), row["until"].isoformat()
        condition = f"{row['time']} >= '{since}' AND {row['time']} < '{until}'"
        stretches.setdefault(row["name"], []).append(f" WHERE {condition}")
    return [
        Part(
            row["name"],
            f"SELECT {row['columns']} FROM {row['quoted']}{condition}",  # noqa: S608 - our tables
            tuple(row["names"]),
        )
        for row in await connection.fetch(TABLES, schema)
        for condition in stretches.get(row["name"], [""])
    ]


async def _copy_part(
    reader: asyncpg.Connection, writer: asyncpg.Connection, part: Part, schema: str
) -> None:
    blocks: asyncio.Queue[bytes | None] = asyncio.Queue(BUFFERED)

    async def read() -> None:
        await reader.copy_from_query(part.query, output=blocks.put, format="binary")
        await blocks.put(None)

    async def written() -> AsyncIterator[bytes]:
        while (block := await blocks.get()) is not None:
            yield block

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        group.create_task(
            writer.copy_to_table(
                part.table,
                source=written(),
                schema_name=schema,
                columns=part.columns,
                format="binary",
            )
        )
