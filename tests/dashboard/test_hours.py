"""Bars folded from kept hours are those that the tables would have made, however they are asked."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from app.dashboard.history.bars import BASE, DAY, HOUR
from app.dashboard.history.candles import QUERIES, STORED, Asked, candles
from app.dashboard.history.hours import Hours
from app.dashboard.history.store import Store, View
from app.dashboard.live.cursor import Cursors
from app.dashboard.warming import warm
from app.storage import migrations
from app.storage.database import Database
from app.storage.values import instant
from tests.dashboard.conftest import Site

pytestmark = pytest.mark.integration

START = 1_577_836_800_000 - 3 * DAY
# Ten-minute candles: none of them before there is a price, hours without trades, an incomplete one.
CANDLES = """
INSERT INTO candles
SELECT $1::timestamptz + make_interval(mins => 10 * n), 'I', 600000, 0, p, p + 2, p - 2, p + 1,
    CASE WHEN quiet THEN 0 ELSE 1.25 END, 0, 0, CASE WHEN quiet THEN 0 ELSE 3 END, null, null,
    n <> 77, 0, 'c' || n, 'x', 0, n
FROM (SELECT n, CASE WHEN n > 4 THEN 100 + n % 17 END AS p, n < 5 OR n % 20 < 9 AS quiet
    FROM generate_series($2::int, $3::int) AS n) AS made
"""


@pytest.fixture
async def database(site: Site) -> AsyncIterator[Database]:
    schema = f"hours_{uuid.uuid4().hex[:8]}"
    made = Database(replace(site.settings.database.storage(), schema=schema))
    await migrations.apply(made)
    try:
        yield made
    finally:
        await made.execute(f"DROP SCHEMA {schema} CASCADE")
        await made.close()


async def test_kept_hours_make_the_bars_of_the_tables(database: Database) -> None:
    hours = Hours(QUERIES[BASE])
    for first, last in ((1, 290), (291, 295), (296, 430)):
        await database.execute(CANDLES, instant(START), first, last)
        through = START + last * 600_000
        for interval in (HOUR, 4 * HOUR, DAY):
            for begin in (START, START + DAY):
                end = START + 4 * DAY
                async with database.connection() as connection:
                    view = View(connection, "")
                    found = await hours.bars(view, "I", (begin, end), interval, through)
                    wanted = await by_tables(view, begin, end, interval)
                assert found == wanted, (last, interval)
    async with database.connection() as connection:
        await connection.execute("DELETE FROM candles WHERE time > $1", instant(START + DAY))
        view = View(connection, "")
        found = await hours.bars(view, "I", (START, START + 4 * DAY), DAY, START + DAY)
        assert found == await by_tables(view, START, START + 4 * DAY, DAY)


async def test_what_will_be_asked_for_is_read_before_it_is(
    database: Database,
) -> None:
    if await database.fetchval(STORED):
        await database.execute("DROP MATERIALIZED VIEW candles_1h CASCADE")  # as on Apache's
    await database.execute(CANDLES, instant(START), 1, 290)
    store, hours = Store(database, Cursors("", [])), Hours(QUERIES[BASE])
    await warm(store, ["not there yet", "I"], hours)

    await database.execute("DELETE FROM candles WHERE time < $1", instant(START + DAY))
    asked = Asked("I", begin=START, end=START + 2 * DAY, points=48, interval=HOUR)
    async with store.view() as view:
        bars = (await candles(view, asked, hours))["bars"]
    assert min(bar[0] for bar in bars) < START + 2 * HOUR


async def by_tables(view: View, begin: int, end: int, interval: int) -> list[Any]:
    length = instant(interval) - instant(0)
    found = await view.fetch(QUERIES[BASE], "I", instant(begin), instant(end), length)
    return [dict(row) for row in found]
