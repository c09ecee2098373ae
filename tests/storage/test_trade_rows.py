"""Trades packed for COPY are the rows that their tuples are, on the real server."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal

import asyncpg
import pytest

from app.core.columns import DecimalColumn, Decimals
from app.core.decimals import plain
from app.core.events import Inbound, Message, Trades
from app.core.events.checks import LARGEST_ID, LATEST_TIME
from app.runtime.codec import decode, encode
from app.storage.database import Database
from app.storage.sink import Sink
from app.storage.store import PostgresStore
from app.storage.trade_rows import MOST, TradeRows

NAMES = ("X", "Y", "BINANCE:BTCUSDT", "BINANCE:ETHUSDT")  # lengths that differ, and don't


def amounts(draw: random.Random, count: int, places: int, most: int) -> tuple[Decimal, ...]:
    units = [draw.randrange(1, 10 ** draw.randrange(1, most)) for _ in range(count)]
    return tuple(Decimal(one).scaleb(-places) for one in units)


def record(draw: random.Random, first: int, count: int) -> Trades:
    ids = tuple(range(first, first + count))
    return Trades(
        instrument=draw.choice(NAMES),
        id=ids,
        first_id=tuple(each // 2 for each in ids),
        last_id=tuple(each + draw.randrange(3) for each in ids),
        time=tuple(draw.choice((1, 1_570_752_000_001, 1_999_999_999_999)) for _ in ids),
        price=amounts(draw, count, draw.choice((0, 2, 4, 8)), 11),
        quantity=amounts(draw, count, draw.choice((0, 2, 4, 8)), 11),
        buyer_maker=tuple(draw.random() < 0.5 for _ in ids),
        age=draw.randrange(1000),
    )


def inbound(message: Message, offset: int, partition: int = 3) -> Inbound:
    # As the log gives it, many rows as whole numbers and few as decimals.
    return Inbound(decode(encode(message)), "trades", partition, offset)


def batch(seed: int) -> list[Inbound]:
    draw = random.Random(seed)
    counts = [draw.choice((1, 2, 11, 12, 40)) for _ in range(25)]
    return [
        inbound(Message(record(draw, 1 + 100 * number, count)), number)
        for number, count in enumerate(counts)
    ]


def as_stored(rows: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Return rows in the order of their key, numbers as texts, so that their scale counts."""
    texts = [
        tuple(plain(value) if isinstance(value, Decimal) else value for value in row)
        for row in rows
    ]
    return sorted(texts, key=lambda row: (str(row[1]), int(str(row[2]))))


@pytest.mark.parametrize("seed", range(4))
async def test_packed_rows_are_what_their_tuples_are(
    database: Database, admin: asyncpg.Connection, seed: int
) -> None:
    records = batch(seed)
    rows = TradeRows(records)
    assert rows.packed() is not None
    assert len(rows) == len(list(rows))
    await database.execute("TRUNCATE trades")
    await Sink(PostgresStore(database)).start(("trades", 3), 0)
    assert await Sink(PostgresStore(database)).write(records) == len(records)
    found = [tuple(row) for row in await admin.fetch("SELECT * FROM trades")]
    assert as_stored(found) == as_stored(list(rows))
    texts = await admin.fetch("SELECT price::text, quantity::text FROM trades")
    assert sorted(map(tuple, texts)) == sorted(row[5:7] for row in as_stored(list(rows)))


async def test_a_row_that_is_there_already_is_left(
    database: Database, admin: asyncpg.Connection
) -> None:
    message = Message(record(random.Random(9), 1, 40))
    sink = Sink(PostgresStore(database))
    await sink.write([inbound(message, 0)])
    # The same trades again at a later place, as a publisher that was killed leaves them.
    await sink.write([inbound(message, 1)])
    assert await admin.fetchval("SELECT count(*) FROM trades WHERE topic_offset = 0") == 40
    assert await admin.fetchval("SELECT count(*) FROM trades") == 40


@pytest.mark.parametrize("price", ["0.000000001", "10000000000", "999999999999999"])
async def test_what_has_too_many_digits_is_stored_as_tuples(
    database: Database, admin: asyncpg.Connection, price: str
) -> None:
    one = (Decimal(1),)
    trades = Trades("X", (1,), (1,), (1,), (5,), (Decimal(price),), one, (True,), 0)
    records = [inbound(Message(trades), 0)]
    assert TradeRows(records).packed() is None
    await Sink(PostgresStore(database)).write(records)
    assert await admin.fetchval("SELECT price FROM trades") == Decimal(price)


def test_the_largest_numbers_that_fit_are_packed() -> None:
    most = (Decimal(MOST - 1).scaleb(-8),)
    big = (LARGEST_ID,)
    trades = Trades("X", big, big, big, (LATEST_TIME,), most, most, (True,), LARGEST_ID)
    assert TradeRows([inbound(Message(trades), 0)]).packed() is not None


def test_many_rows_reach_the_sink_as_whole_numbers() -> None:
    columns: list[DecimalColumn] = [
        each.record.price for each in batch(1) if isinstance(each.record, Trades)
    ]
    assert any(isinstance(each, Decimals) for each in columns)
    assert any(isinstance(each, tuple) for each in columns)
