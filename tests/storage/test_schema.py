"""Rollups, policies and helper functions answer the same on both editions."""

from __future__ import annotations

import dataclasses
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from app.core.events import Candle, Inbound, Message
from app.storage.database import Database
from app.storage.sink import Sink
from app.storage.store import PostgresStore
from app.storage.values import instant
from tests.storage import samples
from tests.storage.samples import ACCOUNT, DAY, INSTRUMENT, MINUTE, START, STRATEGY, placed

HYPERTABLES = {
    "memberships", "trades", "clocks", "gaps", "history", "candles", "signals", "portfolio",
    "positions", "allocations", "strategy_performance", "orders", "fills", "bookings", "outcomes",
    "risk_events", "risk_reports", "snapshots",
}  # fmt: skip
WIDTHS = {"5m": 5, "15m": 15, "1h": 60, "1d": 1440}
COMPRESSED = {"trades", "candles", "signals", "positions", "allocations"}


@pytest.fixture
def sink(database: Database) -> Sink:
    return Sink(PostgresStore(database))


async def store(sink: Sink, topic: str, messages: Sequence[Message]) -> None:
    await sink.write(placed(topic, messages))


def after(minutes: int) -> datetime:
    return instant(START + minutes * MINUTE)


async def test_what_has_time_is_a_hypertable(database: Database) -> None:
    found = await database.fetch(
        "SELECT hypertable_name FROM timescaledb_information.hypertables "
        "WHERE hypertable_schema = $1",
        database.settings.schema,
    )
    assert {row["hypertable_name"] for row in found} == HYPERTABLES


async def test_policies_are_where_the_licence_has_them(database: Database) -> None:
    jobs = await database.fetch(
        "SELECT proc_name, config FROM timescaledb_information.jobs j "
        "WHERE hypertable_schema = $1 OR config->>'mat_hypertable_id' IN ("
        "SELECT mat_hypertable_id::text FROM _timescaledb_catalog.continuous_agg "
        "WHERE user_view_schema = $1)",
        database.settings.schema,
    )
    count = {
        name: sum(row["proc_name"] == name for row in jobs)
        for name in (
            "policy_refresh_continuous_aggregate",
            "policy_compression",
            "policy_retention",
        )
    }
    if await database.fetchval("SELECT edition()") == "community":
        assert list(count.values()) == [4, len(COMPRESSED), 2]
        assert all(
            "created_before" in row["config"]
            for row in jobs
            if row["proc_name"] != "policy_refresh_continuous_aggregate"
        )
    else:
        assert jobs == []


def candles(seed: int, instrument: str, count: int) -> list[Message]:
    """A walk with empty minutes, unknown prices at first, and now and then a gap."""
    draw = random.Random(seed)
    made, last = [], 0
    for number in range(1, count + 1):
        traded = draw.choice([0, 0, 1, 7]) if number > 7 else 0
        prices = None
        if traded:
            open_, close = draw.randint(90, 110), draw.randint(90, 110)
            prices = (open_, max(open_, close) + 1, min(open_, close) - 1, close)
            last = close
        elif last:
            prices = (last,) * 4
        texts = tuple(map(str, prices)) if prices else None
        complete = draw.random() > 0.05
        made.append(
            samples.candle(number, texts, traded, complete=complete, instrument=instrument)  # type: ignore[arg-type]
        )
        if draw.random() < 0.1 and prices:
            made.append(
                samples.candle(
                    number, ("1", "999", "1", "1"), 99, revision=1, instrument=instrument
                )
            )
    return made


def rolled_up(messages: Sequence[Message], minutes: int) -> list[tuple[Any, ...]]:
    """The rollup worked out another way: each candle by the interval its beginning lies in."""
    groups: dict[tuple[str, int], list[Candle]] = defaultdict(list)
    for message in messages:
        candle = message.record
        assert isinstance(candle, Candle)
        if candle.revision == 0:
            begin = candle.time - candle.interval
            groups[candle.instrument, begin // (minutes * MINUTE)].append(candle)
    return [summary(key, minutes, group) for key, group in sorted(groups.items())]


def summary(key: tuple[str, int], minutes: int, group: Sequence[Candle]) -> tuple[Any, ...]:
    traded = [candle for candle in group if candle.trades]
    prices: tuple[Decimal | None, ...] = (group[-1].close,) * 3
    if traded:
        highs = [candle.high for candle in traded if candle.high is not None]
        lows = [candle.low for candle in traded if candle.low is not None]
        prices = (traded[0].open, max(highs), min(lows))
    return (
        key[0],
        instant((key[1] + 1) * minutes * MINUTE),
        *prices,
        group[-1].close,
        *(
            sum((getattr(candle, name) for candle in group), Decimal(0))
            for name in ("volume", "quote_volume", "taker_buy_volume")
        ),
        sum(candle.trades for candle in group),
        traded[0].first_id if traded else None,
        traded[-1].last_id if traded else None,
        all(candle.complete for candle in group),
        len(group),
    )


ROLLUP = (
    "SELECT instrument, time, open, high, low, close, volume, quote_volume, taker_buy_volume, "
    "trades, first_id, last_id, complete, candles FROM candles_{} ORDER BY instrument, time"
)


@pytest.mark.parametrize("seed", range(2))
async def test_rollups_equal_an_independent_computation(
    database: Database, sink: Sink, admin: asyncpg.Connection, seed: int
) -> None:
    messages = candles(seed, INSTRUMENT, 1600)
    await store(sink, "candles", messages[:900])
    for width, minutes in WIDTHS.items():
        found = [tuple(row) for row in await database.fetch(ROLLUP.format(width))]
        assert found == rolled_up(messages[:900], minutes), width

    if await database.fetchval("SELECT edition()") == "community":
        for width in WIDTHS:
            await admin.execute(f"CALL refresh_continuous_aggregate('candles_{width}', NULL, NULL)")
    # What comes after a refresh is added by the query: only the rollup that was still growing
    # when it was refreshed waits for the next one, so that one is refreshed here.
    await sink.write(
        [Inbound(item, "candles", 0, 900 + place) for place, item in enumerate(messages[900:])]
    )
    if await database.fetchval("SELECT edition()") == "community":
        newer = "SELECT max(time) FROM candles_5m"
        assert await database.fetchval(newer) == after(1600)
        for width in WIDTHS:
            await admin.execute(f"CALL refresh_continuous_aggregate('candles_{width}', NULL, NULL)")
    for width, minutes in WIDTHS.items():
        found = [tuple(row) for row in await database.fetch(ROLLUP.format(width))]
        assert found == rolled_up(messages, minutes), width


async def test_rollups_have_the_same_columns_everywhere(database: Database) -> None:
    for width in WIDTHS:
        found = await database.fetch(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position",
            database.settings.schema,
            f"candles_{width}",
        )
        numeric = ("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume")
        assert [tuple(row) for row in found] == [
            ("instrument", "text"),
            ("bucket", "timestamp with time zone"),
            ("time", "timestamp with time zone"),
            *((name, "numeric") for name in numeric),
            *((name, "bigint") for name in ("trades", "first_id", "last_id")),
            ("complete", "boolean"),
            ("candles", "bigint"),
        ]


async def test_last_price(database: Database, sink: Sink) -> None:
    assert await database.fetchval("SELECT last_price($1)", INSTRUMENT) is None
    await store(sink, "trades", [samples.trades([1, 2], "0.5"), samples.trades([3], "0.7", 10**7)])
    await sink.write([Inbound(samples.trades([4], "0.1", 1), "trades", 0, 2)])
    assert await database.fetchval("SELECT last_price($1)", INSTRUMENT) == Decimal("0.7")
    assert await database.fetchval("SELECT last_price('BINANCE:OTHER')") is None


async def test_position_at(database: Database, sink: Sink) -> None:
    messages = [
        samples.portfolio(number, "115", quantity, cost)
        for number, (quantity, cost) in enumerate([("10", "12"), ("-4", "-7"), ("0", "0")])
    ]
    await store(sink, "portfolio", messages)
    query = "SELECT * FROM position_at($1, $2)"
    assert await database.fetch(query, ACCOUNT, after(0) - timedelta(milliseconds=1)) == []
    expected = [("10", "3"), ("-4", "1"), ("0", "0")]
    for number, (quantity, unrealised) in enumerate(expected):
        row = await database.fetchrow(query, ACCOUNT, after(number) + timedelta(seconds=59))
        assert row is not None
        assert (row["time"], row["strategy"]) == (after(number), STRATEGY)
        assert (row["quantity"], row["unrealised"]) == (Decimal(quantity), Decimal(unrealised))
        assert row["mark"] == Decimal("1.5")
    newest = await database.fetchrow("SELECT * FROM position_at($1)", ACCOUNT)
    assert newest is not None
    assert newest["time"] == after(2)


async def test_equity_curve(database: Database, sink: Sink) -> None:
    equities = ["100", "130", "90", "110", "120"]
    await store(sink, "portfolio", [samples.portfolio(n, text) for n, text in enumerate(equities)])
    found = await database.fetch(
        "SELECT * FROM equity_curve($1, $2, $3, $4)",
        ACCOUNT,
        after(0),
        after(4),
        timedelta(minutes=3),
    )
    assert [tuple(row) for row in found] == [
        (after(0), 90, 90, 130, 100),
        (after(3), 110, 110, 110, 100),
    ]


async def test_profit_by_day_counts_midnight_to_the_day_that_ended(
    database: Database, sink: Sink
) -> None:
    moments = [(START + MINUTE, "1"), (START + DAY, "4"), (START + DAY + MINUTE, "3")]
    moments += [(START + 3 * DAY, "10")]
    await store(
        sink,
        "allocations",
        [samples.allocated(n, profit, time) for n, (time, profit) in enumerate(moments)],
    )
    found = await database.fetch("SELECT * FROM pnl_by_strategy_and_day($1)", ACCOUNT)
    days = [(str(row["day"]), row["profit"], row["total"]) for row in found]
    assert days == [("2019-10-11", 4, 4), ("2019-10-12", -1, 3), ("2019-10-13", 7, 10)]
    assert {row["strategy"] for row in found} == {STRATEGY}
    assert sum(row["profit"] for row in found) == 10


async def test_candles_between(database: Database, sink: Sink) -> None:
    messages = [samples.candle(n) for n in range(1, 6)]
    await store(sink, "candles", [*messages, samples.candle(3, ("2", "2", "2", "2"), revision=1)])
    found = await database.fetch(
        "SELECT * FROM candles_between($1, $2, $3)", INSTRUMENT, after(1), after(4)
    )
    assert [(row["time"], row["close"]) for row in found] == [(after(n), 1) for n in (2, 3, 4)]


async def test_a_fill_is_followed_back_to_what_entered(database: Database, sink: Sink) -> None:
    """fill → trade by its own origin; order → allocation → portfolio → signal → … → trade."""
    made = [
        ("trades", samples.trades([100])),
        ("candles", samples.candle(1)),
        ("signals", samples.signal(1)),
        ("portfolio", samples.portfolio(1, "1")),
        ("allocations", samples.allocated(1, "1")),
        ("orders", samples.orders(1)),
    ]
    chain, origin = [], ""
    for topic, message in made:
        named = dataclasses.replace(message, origin=origin) if message.identity else message
        chain.append((topic, named))
        origin = message.name
    for topic, message in chain:
        await sink.write([Inbound(message, topic, 0, 0)])
    found = await database.fetch("SELECT * FROM lineage($1)", "order-1")
    kinds = ["order", "allocation", "portfolio", "signal", "candle", "trade"]
    assert [row["kind"] for row in found] == kinds
    assert [row["depth"] for row in found] == list(range(6))
    assert [row["topic"] for row in found] == [topic for topic, _ in reversed(chain)]
    assert found[-1]["identity"] == f"trades/{INSTRUMENT}/100"


@pytest.mark.parametrize(
    ("topic", "message", "kind"),
    [
        ("trades", samples.trades([7, 8]), "trade"),
        ("candles", samples.candle(1), "candle"),
        ("signals", samples.signal(1), "signal"),
        ("portfolio", samples.portfolio(1, "1"), "portfolio"),
        ("allocations", samples.allocated(1, "1"), "allocation"),
        ("orders", samples.orders(1), "order"),
        ("fills", samples.fill(1, 1), "fill"),
        ("fills", samples.booked(1), "booking"),
        ("trades", samples.clock(3), "clock"),
        ("trades", samples.gap(5, 9), "gap"),
        ("signals", samples.command("stop-1"), "command"),
        ("risk", samples.refusal(1), "refusal"),
        ("risk", samples.halted(1), "halted"),
        ("risk", samples.risk_report(1), "risk_report"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_every_record_is_found_by_its_name(
    database: Database, sink: Sink, topic: str, message: Message, kind: str
) -> None:
    await sink.write([Inbound(message, topic, 0, 0)])
    row = await database.fetchrow("SELECT * FROM record_named($1)", message.name)
    assert row is not None
    assert (row["kind"], row["identity"], row["topic"]) == (kind, message.name, topic)
    assert (row["origin"], row["topic_offset"]) == (message.origin, 0)
    for odd in ("", "trades/X/9999999999999999999999", "clock/X/x", "a/b", "trades/X"):
        assert await database.fetch("SELECT * FROM record_named($1)", odd) == []


async def test_functions_find_their_tables_from_anywhere(
    database: Database, sink: Sink, admin: asyncpg.Connection
) -> None:
    await store(sink, "trades", [samples.trades([1], "0.5")])
    await admin.execute("SET search_path = public")
    found = await admin.fetchval(f"SELECT {database.settings.schema}.last_price($1)", INSTRUMENT)
    assert found == Decimal("0.5")


async def test_the_questions_use_their_indexes(database: Database, sink: Sink) -> None:
    await store(sink, "trades", [samples.trades(range(1, 500))])
    await store(sink, "fills", [samples.fill(1, part) for part in range(1, 200)])
    for query, index in (
        (
            "SELECT FROM trades WHERE instrument = 'X' ORDER BY time DESC, trade_id DESC LIMIT 1",
            "trades_by_time",
        ),
        ("SELECT * FROM trades WHERE instrument = 'X' AND trade_id = 7", "trades_pkey"),
        ("SELECT * FROM fills WHERE order_id = 'order-1'", "fills_pkey"),
        ("SELECT * FROM fills WHERE identity = 'execution/main/main/11'", "fills_by_identity"),
    ):
        async with database.transaction() as connection:
            await connection.execute("SET LOCAL enable_seqscan = off")
            plan = await connection.fetch(f"EXPLAIN {query}")
            text = "\n".join(row[0] for row in plan)
        assert index in text, text


@pytest.mark.parametrize("table", sorted(COMPRESSED))
async def test_repeats_are_found_in_compressed_chunks(
    database: Database, sink: Sink, admin: asyncpg.Connection, table: str
) -> None:
    """A batch that is stored again after its chunk was compressed is still stored once."""
    if await database.fetchval("SELECT edition()") != "community":
        pytest.skip("the Apache edition compresses nothing")
    topics = {"trades": "trades", "positions": "portfolio"}
    topic = topics.get(table, table)
    messages = {
        "trades": [samples.trades([1, 2, 3])],
        "candles": [samples.candle(n) for n in range(3)],
        "signals": [samples.signal(n) for n in range(3)],
        "portfolio": [samples.portfolio(n, "1") for n in range(3)],
        "allocations": [samples.allocated(n, "1") for n in range(3)],
    }[topic]
    await store(sink, topic, messages)
    before = await admin.fetch(f"SELECT * FROM {table} ORDER BY topic_offset, time")  # noqa: S608
    await admin.execute(f"SELECT compress_chunk(show_chunks('{table}'))")
    await admin.execute("UPDATE sink_offsets SET next_offset = 0")
    await store(sink, topic, messages)
    after_all = await admin.fetch(f"SELECT * FROM {table} ORDER BY topic_offset, time")  # noqa: S608
    assert after_all == before
