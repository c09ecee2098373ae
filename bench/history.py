"""A year of candles and a month of decisions enter the tables; how soon pages have them leaves."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import orjson
from playwright.async_api import Browser, Error, async_playwright
from rich.console import Console

from app.config import Settings
from app.runtime import topics
from app.storage import migrations
from app.storage.database import Database
from app.storage.values import instant
from bench.dashboard import Dashboard, dashboard
from bench.installation import delete_topics, drop_schema
from bench.market import Market
from bench.report import Report, percentile

YEAR = 525_600  # minutes
MONTH = 43_200
DAY = 86_400_000
MINUTE = 60_000
END = 1_577_836_800_000  # 2020-01-01T00:00:00Z
INSTRUMENTS = ("BINANCE:BTCUSDT", "BINANCE:ETHUSDT")
TIMES = 20

CANDLES = """
INSERT INTO candles
SELECT $1::timestamptz - make_interval(mins => n), $2, 60000, 0, p, p + 2, p - 2, p + 1, 12.5,
    12.5 * p, 6, 40, 40 * ($3 - n), 40 * ($3 - n) + 39, true, 0,
    'candles/' || $2 || '/' || n, 'x', 0, n
FROM (SELECT n, round((8000 + 900 * sin(n / 5000.0) + 60 * sin(n / 37.0))::numeric, 2) AS p
    FROM generate_series(0, $3::int - 1) AS n) AS minutes
"""
PORTFOLIO = """
INSERT INTO portfolio
SELECT $1::timestamptz - make_interval(mins => n), $2, 1, 50000,
    round((100000 + 900 * sin(n / 900.0) - n / 40.0)::numeric, 8), '[]',
    'portfolio/' || n, 'x', 0, n
FROM generate_series(0, $3::int - 1) AS n
"""
POSITIONS = """
INSERT INTO positions
SELECT $1::timestamptz - make_interval(mins => n), $2, strategy, instrument, 1.5, 12000, 30,
    4, 8000, 'portfolio/' || n, 'x', 0, n
FROM generate_series(0, $3::int - 1) AS n, unnest($4::text[]) AS instrument,
    unnest(ARRAY['momentum', 'macd']) AS strategy
"""
REPORTS = """
INSERT INTO risk_reports
SELECT $1::timestamptz - make_interval(mins => n), $2, 1, 100000, 100000, 101000, 0, 0.01, 50000,
    false, 0, 0, 'risk/' || n, 'x', 0, n
FROM generate_series(0, $3::int - 1) AS n
"""
EVENTS = """
INSERT INTO risk_events
SELECT $1::timestamptz - make_interval(mins => n * 30), $2, 'refusal', 1, ($4::text[])[1], 'macd',
    'cash', 2, 1, null, 'not enough cash', 'x', 'risk/event/' || n, 'x', 0, n
FROM generate_series(0, $3::int / 30) AS n
"""
ACCOUNT = "INSERT INTO accounts VALUES ($1, 1, $2, 100000, 60000, 1, $3, 'epoch/1', 0, 0)"
ROLLUPS = ("candles_5m", "candles_15m", "candles_1h", "candles_1d")
PAINTED = """
() => performance.getEntriesByType("paint").find((each) => each.name === "first-contentful-paint")
    ?.startTime
"""
FIGURES = "section.card .tile"
SINCE_BEGIN = "() => performance.now()"


async def measure(settings: Settings, report: Report, console: Console) -> None:
    """Fill a schema, then ask for what the pages show; all of it is gone at the end."""
    name = f"bench_{uuid.uuid4().hex[:10]}"
    kafka = settings.kafka.model_copy(update={"prefix": f"{name}."})
    database = Database(
        dataclasses.replace(settings.database.storage(), schema=name, statement_timeout=600.0)
    )
    await topics.create(kafka)
    try:
        await migrations.apply(database)
        begun = time.monotonic()
        await _fill(database)
        console.print(f"the tables are filled after {time.monotonic() - begun:.0f} s")
        async with dashboard(kafka, name) as shown:
            await _data(shown, report)
            await _pages(shown, report, console)
    finally:
        await drop_schema(database)
        await delete_topics(kafka)


async def _fill(database: Database) -> None:
    account = Market(2, MINUTE, 1, 1, 1).accounts()[0]
    told = orjson.loads(orjson.dumps(dataclasses.asdict(account), default=str))
    told |= {"name": "paper", "instruments": list(INSTRUMENTS)}
    end = instant(END)
    for instrument in INSTRUMENTS:
        await database.execute(CANDLES, end, instrument, YEAR)
    await database.execute(ACCOUNT, "paper", "USDT", orjson.dumps(told).decode())
    await database.execute(PORTFOLIO, end, "paper", MONTH)
    await database.execute(REPORTS, end, "paper", MONTH)
    for query in (POSITIONS, EVENTS):
        await database.execute(query, end, "paper", MONTH, list(INSTRUMENTS))
    if (await database.health()).edition == "community":
        for rollup in ROLLUPS:  # what its policy does by and by
            async with database.connection() as connection:
                await connection.execute(
                    "CALL refresh_continuous_aggregate($1::regclass, NULL, NULL)",
                    f"{database.settings.schema}.{rollup}",
                )
    async with database.connection() as connection:
        await connection.execute("ANALYZE")


async def _data(shown: Dashboard, report: Report) -> None:
    begin = END - 365 * DAY
    questions = {
        "a year of minutes": f"from={begin}&to={END}&points=1000",
        "a year, 2,000 bars": f"from={begin}&to={END}&points=2000",
        "a year of days": f"from={begin}&to={END}&interval=1d",
        "2,000 minutes, half a year back": f"to={END - 182 * DAY}&points=2000&interval=1m",
    }
    asked = {
        f"candles: {name}": f"/api/candles?instrument={INSTRUMENTS[0]}&{words}"
        for name, words in questions.items()
    } | {
        "overview": "/api/overview",
        "equity of 30 days": "/api/equity?account=paper",
    }
    headers = {"Authorization": f"Bearer {shown.secret}"}
    async with aiohttp.ClientSession(shown.address, headers=headers) as session:
        for name, path in asked.items():
            await _times(report, name, lambda path=path: _get(session, path))  # type: ignore[misc]


async def _get(session: aiohttp.ClientSession, path: str) -> float:
    begun = time.perf_counter()
    async with session.get(path) as answer:
        answer.raise_for_status()
        await answer.read()
    return 1000 * (time.perf_counter() - begun)


async def _times(report: Report, name: str, ask: Callable[[], Awaitable[float]]) -> None:
    report.add(f"{name}: first", "ms", await ask())
    found = [await ask() for _ in range(TIMES)]
    report.add(f"{name}: p50 of {TIMES}", "ms", percentile(found, 0.5))
    report.add(f"{name}: slowest of {TIMES}", "ms", max(found))


async def _pages(shown: Dashboard, report: Report, console: Console) -> None:
    async with async_playwright() as playwright:
        try:
            browser = await playwright.chromium.launch(executable_path=_chromium())
        except Error:
            console.print("no page was opened: no Chromium is installed")
            return
        try:
            for number in range(TIMES // 4):
                await _page(browser, shown, report, first=not number)
        finally:
            await browser.close()


def _chromium() -> str | None:
    import shutil  # noqa: PLC0415 - nothing else here looks for programs

    return next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)


async def _page(browser: Browser, shown: Dashboard, report: Report, *, first: bool) -> None:
    """Open the overview as somebody who has never been there."""
    context = await browser.new_context(base_url=shown.address)
    page: Any = await context.new_page()
    await context.request.post("/login", data={"password": shown.secret})
    await page.goto("/")
    await page.locator(FIGURES).first.wait_for()
    figures = await page.evaluate(SINCE_BEGIN)
    when = "first" if first else "again"
    report.add(f"page Overview, {when}: first paint", "ms", await page.evaluate(PAINTED))
    report.add(f"page Overview, {when}: figures are there", "ms", figures)
    await context.close()
