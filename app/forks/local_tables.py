"""A database that is in use and an empty one enter; the second holds what the first held, exactly.

All is read from one snapshot, so the copy is the source as it was at one instant between two of its
transactions, while the sink goes on writing; the tables are made by our own migrations.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg

from app.storage.database import Database

BUFFERED = 8
"""Blocks, of 64 KiB or less, between a reader and its writer."""

TABLES = """
SELECT c.relname AS name,
    format('SELECT %s FROM %I',
        string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), c.relname) AS query,
    array_agg(a.attname::text ORDER BY a.attnum) AS columns
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = $1::text::regnamespace AND c.relkind = 'r'
  AND c.relname <> 'schema_migrations'
  AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
GROUP BY c.relname ORDER BY c.relname
"""


Moved = Callable[[str, int], None]
"""Is told of which table so many bytes more were read."""


async def copy_all(source: Database, target: Database, moved: Moved) -> None:
    """Copy every table of the source's schema into the target's, which has them empty.

    One table after the other: most rows are those of one table, and reading and writing it are two
    processes of the server already.
    """
    schema = source.settings.schema
    async with source.transaction("repeatable_read") as reader, target.connection() as writer:
        for table in await reader.fetch(TABLES, schema):
            await _copy(reader, writer, schema, table, moved)


async def _copy(
    reader: asyncpg.Connection,
    writer: asyncpg.Connection,
    schema: str,
    table: asyncpg.Record,
    moved: Moved,
) -> None:
    blocks: asyncio.Queue[bytes | None] = asyncio.Queue(BUFFERED)

    async def read() -> None:
        await reader.copy_from_query(table["query"], output=blocks.put, format="binary")
        await blocks.put(None)

    async def written() -> AsyncIterator[bytes]:
        while (block := await blocks.get()) is not None:
            moved(table["name"], len(block))
            yield block

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        group.create_task(
            writer.copy_to_table(
                table["name"],
                source=written(),
                schema_name=schema,
                columns=table["columns"],
                format="binary",
            )
        )
