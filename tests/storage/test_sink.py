"""Each record's rows stand in the tables once, whatever order, repeat or cut it came by."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import asyncpg
import pytest

from app.core.events import Inbound
from app.storage.database import Database
from app.storage.rows import rows
from app.storage.sink import ConflictError, HoleError, Sink, Skipped
from app.storage.store import PostgresStore
from app.storage.tables import TABLES
from tests.storage import samples
from tests.storage.samples import placed

JSONB = {"indicators", "instructions", "needs"}
SIGNALS = [samples.signal(number) for number in range(12)]
EVERYTHING = [
    *placed("trades", [samples.trades([1, 2, 3]), samples.trades([4])]),
    *placed("candles", [samples.candle(number) for number in range(4)]),
    *placed("signals", SIGNALS[:4]),
    *placed("portfolio", [samples.portfolio(number, "115") for number in range(4)]),
    *placed("allocations", [samples.allocated(number, "3") for number in range(4)]),
    *placed("orders", [samples.orders(number) for number in range(2)]),
    *placed("fills", [samples.fill(0, 1), samples.fill(0, 2), samples.booked(1)]),
]


async def contents(connection: asyncpg.Connection) -> dict[str, list[dict[str, Any]]]:
    """Every table that isn't empty: its rows in order of topic place and key."""
    found = {}
    for table in TABLES.values():
        key = ", ".join(table.key)
        query = f"SELECT * FROM {table.name} ORDER BY topic_partition, topic_offset, {key}"  # noqa: S608
        if records := await connection.fetch(query):
            found[table.name] = [readable(dict(record)) for record in records]
    return found


def readable(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with its JSON read."""
    return {name: json.loads(value) if name in JSONB else value for name, value in row.items()}


def folded(log: Sequence[Inbound]) -> dict[str, list[dict[str, Any]]]:
    """What the tables must hold: the rows of each record, the first of each key."""
    found: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {}
    for inbound in log:
        for name, row in rows(inbound):
            table = TABLES[name]
            named = readable(dict(zip(table.columns, row, strict=True)))
            key = tuple(named[column] for column in table.key)
            found.setdefault(name, {}).setdefault(key, named)
    return {
        name: sorted(
            held.values(),
            key=lambda row: (
                row["topic_partition"],
                row["topic_offset"],
                *(row[column] for column in TABLES[name].key),
            ),
        )
        for name, held in found.items()
    }


@pytest.fixture
def sink(database: Database) -> Sink:
    return Sink(PostgresStore(database))


async def test_every_row_and_offset_is_stored(sink: Sink, admin: asyncpg.Connection) -> None:
    assert await sink.write(EVERYTHING) == len(EVERYTHING)
    assert await contents(admin) == folded(EVERYTHING)
    positions = await sink.positions()
    assert positions["candles", 0] == 4
    assert set(positions) == {(inbound.topic, inbound.partition) for inbound in EVERYTHING}


async def test_a_batch_given_again_changes_nothing(sink: Sink, admin: asyncpg.Connection) -> None:
    await sink.write(EVERYTHING)
    before = await contents(admin)
    assert await sink.write(EVERYTHING) == 0
    assert await contents(admin) == before


async def test_an_overlap_is_dropped_up_to_the_next_offset(
    sink: Sink, admin: asyncpg.Connection
) -> None:
    log = placed("signals", SIGNALS)
    await sink.write(log[:5])
    assert await sink.write(log[2:8]) == 3
    assert await contents(admin) == folded(log[:8])
    assert await sink.positions() == {("signals", 0): 8}


async def test_a_batch_that_begins_too_late_is_refused(
    sink: Sink, admin: asyncpg.Connection
) -> None:
    log = placed("signals", SIGNALS)
    await sink.write(log[:3])
    with pytest.raises(HoleError, match=r"signals/0/5.*up to 3: read on from 3") as refusal:
        await sink.write(log[5:])
    assert (refusal.value.place, refusal.value.expected) == (("signals", 0), 3)
    with pytest.raises(HoleError):
        await sink.write([*log[3:5], *log[6:]])
    assert await contents(admin) == folded(log[:3])
    assert await sink.positions() == {("signals", 0): 3}


async def test_a_partition_may_begin_later_than_at_nothing(sink: Sink) -> None:
    log = placed("signals", SIGNALS)
    with pytest.raises(HoleError):
        await sink.write(log[4:])
    await sink.start(("signals", 0), 4)
    assert await sink.write(log[4:]) == len(log) - 4
    await sink.start(("signals", 0), 2)
    assert await sink.positions() == {("signals", 0): len(log)}


async def test_an_offset_without_a_record_is_counted(sink: Sink, admin: asyncpg.Connection) -> None:
    log = placed("signals", SIGNALS[:3])
    assert await sink.write([log[0], Skipped("signals", 0, 1), log[2]]) == 3
    assert await contents(admin) == folded([log[0], log[2]])
    assert await sink.positions() == {("signals", 0): 3}


async def test_a_repeat_on_the_topic_is_stored_where_it_first_stood(
    sink: Sink, admin: asyncpg.Connection
) -> None:
    log = placed("signals", [*SIGNALS[:3], SIGNALS[1], SIGNALS[3], SIGNALS[3]])
    assert await sink.write(log) == len(log)
    assert await contents(admin) == folded(log)
    assert [row["topic_offset"] for row in (await contents(admin))["signals"]] == [0, 1, 2, 4]
    again = [Inbound(SIGNALS[0], "signals", 0, len(log))]
    assert await sink.write(again) == 1
    assert await contents(admin) == folded(log)
    assert await sink.positions() == {("signals", 0): len(log) + 1}


async def test_trades_published_again_in_other_records_are_stored_once(
    sink: Sink, admin: asyncpg.Connection
) -> None:
    log = placed("trades", [samples.trades([1, 2, 3]), samples.trades([2, 3, 4])])
    await sink.write(log)
    found = (await contents(admin))["trades"]
    assert [(row["trade_id"], row["topic_offset"]) for row in found] == [
        (1, 0),
        (2, 0),
        (3, 0),
        (4, 1),
    ]


async def test_another_record_under_the_same_key_is_refused_whole(
    sink: Sink, admin: asyncpg.Connection
) -> None:
    await sink.write(placed("candles", [samples.candle(1)]))
    before = await contents(admin)
    impostor = samples.derived(samples.candle(1).record, "candles", 99)
    batch = [
        *placed("signals", SIGNALS[:2]),
        Inbound(samples.candle(2), "candles", 0, 1),
        Inbound(impostor, "candles", 0, 2),
    ]
    with pytest.raises(ConflictError, match="candles/main/main/2' where 'candles/main/main/99'"):
        await sink.write(batch)
    assert await contents(admin) == before
    assert await sink.positions() == {("candles", 0): 1}


@pytest.mark.parametrize("seed", range(3))
async def test_any_cutting_repeating_and_rereading_gives_the_fold(
    sink: Sink, admin: asyncpg.Connection, seed: int
) -> None:
    """Two partitions with repeats on the topic, read in random batches that overlap."""
    draw = random.Random(seed)
    logs = [
        placed("candles", repeated(draw, [samples.candle(n) for n in range(20)]), 0),
        placed("trades", repeated(draw, [samples.trades([n, n + 1]) for n in range(20)]), 1),
    ]
    dropped = 0
    while any(len(log) > at for log, at in await ends(sink, logs)):
        batch = []
        for log, at in await ends(sink, logs):
            begin = max(0, at - draw.randint(0, 3))
            batch += log[begin : begin + draw.randint(0, 8)]
        dropped += len(batch) - await sink.write(batch)
    assert dropped
    assert await contents(admin) == folded([*logs[0], *logs[1]])


def repeated(draw: random.Random, messages: list[Any]) -> list[Any]:
    """Append some messages twice or thrice, each repeat a little later, as a crash would."""
    log = []
    for place, message in enumerate(messages):
        log.append(message)
        if draw.random() < 0.3:
            log += messages[max(0, place - draw.randint(0, 2)) : place + 1]
    assert len(log) > len(messages)
    return log


async def ends(sink: Sink, logs: list[list[Inbound]]) -> list[tuple[list[Inbound], int]]:
    positions = await sink.positions()
    return [(log, positions.get((log[0].topic, log[0].partition), 0)) for log in logs]


async def test_a_restored_older_database_heals_itself(
    sink: Sink, admin: asyncpg.Connection
) -> None:
    log = placed("signals", SIGNALS)
    await sink.write(log[:9])
    # As a backup from before would have it: rows and offsets are of one transaction.
    await admin.execute("DELETE FROM signals WHERE topic_offset >= 4")
    await admin.execute("UPDATE sink_offsets SET next_offset = 4")
    with pytest.raises(HoleError) as refusal:
        await sink.write(log[9:])
    assert refusal.value.expected == (await sink.positions())["signals", 0] == 4
    await sink.write(log[4:])
    assert await contents(admin) == folded(log)


async def test_offsets_moved_back_alone_double_nothing(
    sink: Sink, admin: asyncpg.Connection
) -> None:
    log = placed("trades", [samples.trades([1, 2]), samples.trades([3]), samples.trades([4])])
    await sink.write(log)
    before = await contents(admin)
    await admin.execute("UPDATE sink_offsets SET next_offset = 1")
    assert await sink.write(log[1:]) == 2
    assert await contents(admin) == before
    assert await sink.positions() == {("trades", 0): 3}


async def test_no_batch_is_no_work(sink: Sink) -> None:
    assert await sink.write([]) == 0
    assert await sink.positions() == {}


def test_the_sink_knows_no_driver() -> None:
    """A simulator must be able to give it another store."""
    code = "import app.storage.sink, sys; sys.exit('asyncpg' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603
