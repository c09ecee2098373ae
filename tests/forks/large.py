"""How many trades a database holds enters; how long a fork of it takes, and what its sink did, out.

`python -m tests.forks.large --trades 10000000` makes a schema of its own on the server that the
settings name, fills it, forks it while a sink goes on storing trades in it, compares the fork with
it and drops both. With `--schema` it keeps that schema, and doesn't fill it a second time.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from app.config import load
from app.core.events import Inbound, Message, Trades
from app.forks.backend import Moment
from app.forks.local import LocalBackend
from app.storage import migrations
from app.storage.database import Database, DatabaseSettings
from app.storage.sink import Sink
from app.storage.store import PostgresStore

INSTRUMENT = "BINANCE:BTCUSDT"
BEGIN = 1_600_000_000_000
STEP = 86
"""Milliseconds between two trades: a million a day."""
FILLED = 1_000_000
PREFIX = "large-"
ALONE = 10.0
RECORD = 100
"""Trades that the sink stores at once."""
FILL = """
INSERT INTO trades SELECT
    to_timestamp(($1::bigint + n * $2::bigint) / 1000.0), $3, n, 2 * n, 2 * n + 1,
    round((30000 + 1000 * sin(n / 50000.0))::numeric, 2),
    round((0.001 * (1 + n % 977))::numeric, 5),
    n % 3 = 0, 5, 0, n
FROM generate_series($4::bigint, $5::bigint - 1) n
"""
OFFSET = "SELECT next_offset FROM sink_offsets WHERE topic = 'trades'"
DIGEST = """
SELECT count(*), sum(trade_id), sum(first_id), sum(last_id), sum(price), sum(quantity),
    count(*) FILTER (WHERE buyer_maker), sum(extract(epoch FROM time)), max(topic_offset)
FROM trades WHERE topic_offset < $1
"""


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@asynccontextmanager
async def filled(settings: DatabaseSettings, trades: int, *, keep: bool) -> AsyncIterator[Database]:
    """Lend a database with at least so many trades."""
    async with Database(settings) as database:
        await migrations.apply(database)
        try:
            if await database.fetchval(OFFSET) is None:
                await fill(database, trades)
            yield database
        finally:
            if not keep:
                await drop(database)


async def fill(database: Database, trades: int) -> None:
    began = time.monotonic()
    for first in range(0, trades, FILLED):
        last = min(first + FILLED, trades)
        await database.execute(FILL, BEGIN, STEP, INSTRUMENT, first, last)
    await database.execute("INSERT INTO sink_offsets VALUES ('trades', 0, $1)", trades)
    await database.execute("ANALYZE trades")
    say(f"{trades:,} trades stored in {time.monotonic() - began:.0f} s")


async def drop(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("SET LOCAL client_min_messages = warning")
        await connection.execute(f"DROP SCHEMA {database.settings.schema} CASCADE")


def record(offset: int, first: int) -> Inbound:
    """Return what stands at an offset: trades from an id on."""
    ids = tuple(range(first, first + RECORD))
    price, quantity = (Decimal("30000.01"),) * RECORD, (Decimal("0.5"),) * RECORD
    times = tuple(BEGIN + number * STEP for number in ids)
    made = Trades(INSTRUMENT, ids, ids, ids, times, price, quantity, (True,) * RECORD, 5)
    return Inbound(Message(made), "trades", 0, offset)


class Storing:
    """A sink that stores one record after the other."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sink = Sink(PostgresStore(database))
        self.took: list[float] = []

    async def go_on(self) -> None:
        offset = await self._database.fetchval(OFFSET)
        first = await self._database.fetchval("SELECT max(trade_id) + 1 FROM trades")
        while True:
            began = time.monotonic()
            await self._sink.write([record(offset, first)])
            self.took.append(time.monotonic() - began)
            offset, first = offset + 1, first + RECORD

    def told(self) -> str:
        took, self.took = sorted(self.took), []
        middle, longest = (1000 * took[len(took) // 2], 1000 * took[-1]) if took else (0.0, 0.0)
        return (
            f"{len(took):,} records, {len(took) * RECORD:,} trades; a write took "
            f"{middle:.0f} ms in the median, {longest:.0f} ms at most"
        )


async def forked(database: Database, storing: Storing) -> None:
    """Fork it, compare, and drop the fork; say how long each took."""
    backend = LocalBackend(database.settings, PREFIX)
    name = f"{PREFIX}{os.getpid()}"
    try:
        began = time.monotonic()
        ready = await backend.wait(await backend.create(name, Moment()), 7_200.0)
        say(f"forked in {time.monotonic() - began:.1f} s; meanwhile the sink stored")
        say(f"  {storing.told()}")
        async with Database(await backend.connect(ready)) as fork:
            patient = dataclasses.replace(fork.settings, statement_timeout=3_600.0)
            async with Database(patient) as copy, Database(database.settings) as source:
                offset = await copy.fetchval(OFFSET)
                held = await copy.fetchrow(DIGEST, sys.maxsize)
                equal = held == await source.fetchrow(DIGEST, offset)
        say(f"the fork holds {held[0]:,} trades, up to offset {offset:,}: equal: {equal}")  # type: ignore[index]
        began = time.monotonic()
    finally:
        await backend.delete(name, name)
        await backend.close()
    say(f"deleted in {time.monotonic() - began:.1f} s")


async def main(trades: int, schema: str | None) -> None:
    settings = dataclasses.replace(
        load().database.storage(),
        schema=schema or f"large_{os.getpid()}",
        statement_timeout=3_600.0,
    )
    async with filled(settings, trades, keep=schema is not None) as database:
        health = await database.health()
        say(f"PostgreSQL {health.server}, TimescaleDB {health.extension} {health.edition}")
        storing = Storing(database)
        task = asyncio.create_task(storing.go_on())
        await asyncio.wait({task}, timeout=ALONE)
        say(f"in {ALONE:g} s without a fork the sink stored")
        say(f"  {storing.told()}")
        forking = asyncio.create_task(forked(database, storing))
        await asyncio.wait({task, forking}, return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        await forking
        if task.done() and not task.cancelled():
            task.result()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trades", type=int, default=10_000_000)
    parser.add_argument("--schema")
    options = parser.parse_args()
    asyncio.run(main(options.trades, options.schema))
