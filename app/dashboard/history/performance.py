"""An account enters; what each strategy earned, by day, and what each month brought, leave."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import asyncpg

from app.dashboard.history.accounts import quote_of
from app.dashboard.history.store import View
from app.dashboard.values import milliseconds, ratio, row, text

MOST_DAYS = 92
MONEY = ("realised", "unrealised", "fees", "profit")

STRATEGIES = """
SELECT s.time, s.strategy, s.weight, s.realised, s.unrealised, s.fees, s.profit, (
    SELECT count(*) FROM fills f WHERE f.account = $1 AND f.strategy = s.strategy) AS fills
FROM strategy_performance s
WHERE s.account = $1
    AND s.time = (SELECT max(time) FROM strategy_performance WHERE account = $1)
ORDER BY s.strategy
"""
# A decision at midnight books what came before it, so it closes the day that ended.
DAYS = """
WITH span AS (
    SELECT min(time) AS first, max(time) AS last FROM strategy_performance WHERE account = $1
), closing AS (
    SELECT d.day, (
        SELECT max(time) FROM strategy_performance
        WHERE account = $1 AND time > d.day AND time <= d.day + INTERVAL '24 hours') AS time
    FROM span, generate_series(
        greatest(date_trunc('day', first - INTERVAL '1 millisecond'),
            date_trunc('day', last - INTERVAL '1 millisecond') - INTERVAL '92 days'),
        last - INTERVAL '1 millisecond', INTERVAL '24 hours') AS d (day)
)
SELECT c.day, s.time, s.strategy, s.weight, s.realised, s.unrealised, s.fees, s.profit
FROM closing c, LATERAL (
    SELECT * FROM strategy_performance WHERE account = $1 AND time = c.time) s
ORDER BY c.day, s.strategy
"""
MONTHS = """
WITH span AS (SELECT min(time) AS first, max(time) AS last FROM portfolio WHERE account = $1)
SELECT m.month, (
    SELECT equity FROM portfolio
    WHERE account = $1 AND time > m.month AND time <= m.month + INTERVAL '1 month'
    ORDER BY time DESC LIMIT 1) AS equity
FROM span, generate_series(
    date_trunc('month', first - INTERVAL '1 millisecond'),
    last - INTERVAL '1 millisecond', INTERVAL '1 month') AS m (month)
ORDER BY m.month
"""
CAPITAL = "SELECT capital FROM accounts WHERE account = $1 ORDER BY epoch LIMIT 1"


async def performance(view: View, account: str) -> dict[str, Any]:
    """Return what an account's strategies earned, as the API gives it."""
    quote = await quote_of(view, account)
    strategies = await view.fetch(STRATEGIES, account)
    days = await view.fetch(DAYS, account)
    capital = await view.fetchval(CAPITAL, account)
    return {
        "account": account,
        "quote": quote,
        "cursor": view.cursor,
        "time": milliseconds(strategies[0]["time"]) if strategies else None,
        "strategies": [_without_time(each) for each in strategies],
        "days": _days(days),
        "weights": {
            "columns": ("time", "strategy", "weight"),
            "rows": [
                [milliseconds(each["time"]), each["strategy"], text(each["weight"])]
                for each in days
            ],
        },
        "months": _months(await view.fetch(MONTHS, account), capital),
    }


def _without_time(each: asyncpg.Record) -> dict[str, Any]:
    found = row(each)
    del found["time"]
    return found


def _days(closings: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
    """Return what each of the last days added to the day before, newest first."""
    before: dict[str, asyncpg.Record] = {}
    found = []
    for each in closings:
        past = before.get(each["strategy"])
        gains = {name: each[name] - (past[name] if past else Decimal(0)) for name in MONEY}
        found.append(
            {
                "day": each["day"].date().isoformat(),
                "strategy": each["strategy"],
                **{name: text(gain) for name, gain in gains.items()},
                "total": text(each["profit"]),
            }
        )
        before[each["strategy"]] = each
    # The first of more is only there to be subtracted.
    shown = sorted({each["day"] for each in found})[-MOST_DAYS:]
    return [each for each in found[::-1] if each["day"] in shown]


def _months(ends: Sequence[asyncpg.Record], capital: Decimal) -> list[dict[str, Any]]:
    """Return each month's begin, end, profit and return, oldest first."""
    begin, found = capital, []
    for each in ends:
        end = begin if each["equity"] is None else each["equity"]
        found.append(
            {
                "month": each["month"].strftime("%Y-%m"),
                "begin": text(begin),
                "end": text(end),
                "profit": text(end - begin),
                "return": text(ratio(end - begin, begin)),
            }
        )
        begin = end
    return found
