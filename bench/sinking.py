"""A backlog of trades enters the database by the sink and by a bare COPY; rows a second leave."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence

from app.config import Settings
from app.core.events import Inbound
from app.runtime.codec import decode
from app.storage import migrations
from app.storage.database import Database
from app.storage.rows import rows
from app.storage.sink import Sink
from app.storage.store import PostgresStore
from app.storage.tables import TABLES
from app.storage.values import Row
from bench.installation import drop_schema
from bench.market import Market

BATCH = 50
"""Records in a batch; of 500 trades each, that is 25,000 rows in a transaction."""

TABLE = TABLES["trades"]


class Backlog:
    """The same trades as the log's bytes, as messages, and as rows.

    Attributes:
        size: How many rows.
    """

    def __init__(self, market: Market, seed: int) -> None:
        values = [packed.value for packed in market.records(seed) if packed.trades]
        self.bytes = [values[start : start + BATCH] for start in range(0, len(values), BATCH)]
        self.messages = [
            self.inbound(batch, start * BATCH) for start, batch in enumerate(self.bytes)
        ]
        self.rows: list[list[Row]] = [
            [row for inbound in batch for _, row in rows(inbound)] for batch in self.messages
        ]
        self.size = sum(map(len, self.rows))

    def inbound(self, batch: Sequence[bytes], start: int) -> list[Inbound]:
        """Return a batch as the sink is given it: decoded, with the place it was read from."""
        return [
            Inbound(decode(value), "trades", 0, start + number)
            for number, value in enumerate(batch)
        ]


async def measure(settings: Settings, backlog: Backlog, repetitions: int) -> list[dict[str, float]]:
    """Return rows a second of each way, once for each repetition; the ways take turns."""
    schema = f"bench_{uuid.uuid4().hex[:10]}"
    database = Database(dataclasses.replace(settings.database.storage(), schema=schema))
    ways = {"copy": _copy, "sink": _sink, "bytes": _bytes}
    try:
        await migrations.apply(database)
        found = []
        for number in range(repetitions):
            order = list(ways)[:: 1 if number % 2 else -1]
            found.append({name: await _time(ways[name], database, backlog) for name in order})
    finally:
        await drop_schema(database)
    return found


async def _time(
    way: Callable[[Database, Backlog], Awaitable[None]], database: Database, backlog: Backlog
) -> float:
    await database.execute("TRUNCATE trades, sink_offsets")
    await database.execute("CHECKPOINT")
    begun = time.perf_counter()
    await way(database, backlog)
    return backlog.size / (time.perf_counter() - begun)


async def _copy(database: Database, backlog: Backlog) -> None:
    for batch in backlog.rows:
        await database.copy(TABLE.name, TABLE.columns, batch)


async def _sink(database: Database, backlog: Backlog) -> None:
    sink = Sink(PostgresStore(database))
    for batch in backlog.messages:
        await sink.write(batch)


async def _bytes(database: Database, backlog: Backlog) -> None:
    sink = Sink(PostgresStore(database))
    for start, batch in enumerate(backlog.bytes):
        await sink.write(backlog.inbound(batch, start * BATCH))
