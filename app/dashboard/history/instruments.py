"""Nothing, or a window, enters; the instruments, or what strategies made of one of them, leave."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import asyncpg
import orjson

from app.dashboard.history.bars import start_of
from app.dashboard.history.candles import Asked, Window, window
from app.dashboard.history.store import View
from app.dashboard.values import milliseconds, rows
from app.storage.values import instant

INSTRUMENTS = """
SELECT i.*, newest.price, newest.time, (
        SELECT c.time FROM candles c WHERE c.instrument = i.instrument ORDER BY c.time LIMIT 1
    ) AS first_time, (
        SELECT c.time FROM candles c WHERE c.instrument = i.instrument ORDER BY c.time DESC LIMIT 1
    ) AS last_time
FROM (
    SELECT instrument, (array_agg(base ORDER BY epoch DESC))[1] AS base,
        (array_agg(quote ORDER BY epoch DESC))[1] AS quote,
        (array_agg(tick_size ORDER BY epoch DESC))[1] AS tick_size,
        (array_agg(lot_size ORDER BY epoch DESC))[1] AS lot_size,
        (array_agg(minimum_notional ORDER BY epoch DESC))[1] AS minimum_notional,
        array_agg(DISTINCT account ORDER BY account) AS accounts
    FROM instruments GROUP BY instrument
) i
LEFT JOIN LATERAL (
    SELECT t.price, t.time FROM trades t WHERE t.instrument = i.instrument
    ORDER BY t.time DESC, t.trade_id DESC LIMIT 1) newest ON true
ORDER BY i.instrument
"""
INDICATORS = """
SELECT strategy, time, view, indicators FROM signals
WHERE account = $1 AND instrument = $2 AND time > $3 AND time <= $4 AND time = ANY($5)
ORDER BY strategy, time
"""
STRATEGIES_NEWEST = """
SELECT time FROM signals WHERE account = $1 AND instrument = $2 ORDER BY time DESC LIMIT 1
"""


async def instruments(view: View) -> dict[str, Any]:
    """Return every instrument as the API gives it."""
    return {"cursor": view.cursor, "instruments": rows(await view.fetch(INSTRUMENTS))}


async def indicators(view: View, account: str, asked: Asked) -> dict[str, Any]:
    """Return the indicators of an account's strategies at the end of each bar of a window."""
    found = await window(view, asked)
    newest = await view.fetchval(STRATEGIES_NEWEST, account, found.instrument)
    ends = range(found.begin + found.interval, found.end + 1, found.interval)
    times = [*map(instant, ends), *([newest] if newest else [])]
    span = (instant(found.begin), instant(found.end))
    records = await view.fetch(INDICATORS, account, found.instrument, *span, times)
    return {
        "account": account,
        "instrument": found.instrument,
        "interval": found.interval,
        "cursor": view.cursor,
        "strategies": [
            _series(strategy, found, list(group))
            for strategy, group in groupby(records, lambda record: record["strategy"])
        ],
    }


def _series(strategy: str, found: Window, records: list[asyncpg.Record]) -> dict[str, Any]:
    values = [orjson.loads(record["indicators"]) for record in records]
    names = dict.fromkeys(name for each in values for name in each)
    return {
        "strategy": strategy,
        "time": [start_of(end - 1, found.interval) for end in _ends(records)],
        "view": [record["view"] for record in records],
        "values": {name: [each.get(name) for each in values] for name in names},
    }


def _ends(records: Iterable[asyncpg.Record]) -> list[int]:
    return [milliseconds(record["time"]) or 0 for record in records]
