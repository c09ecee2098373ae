"""An account and a window enter; its equity, and how deep it fell, leave."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import asyncpg

from app.core.decimals import ZERO
from app.dashboard.history.accounts import quote_of
from app.dashboard.history.bars import fitting
from app.dashboard.history.store import View
from app.dashboard.values import milliseconds, ratio, text
from app.storage.values import instant

DAYS = 30
DAY = 86_400_000
SECOND = 1_000
COLUMNS = ("time", "equity", "lowest", "highest", "cash", "drawdown")

NEWEST = "SELECT time FROM portfolio WHERE account = $1 ORDER BY time DESC LIMIT 1"
FIRST = "SELECT time FROM portfolio WHERE account = $1 AND time >= $2 ORDER BY time LIMIT 1"
CURVE = "SELECT time, equity, lowest, highest, cash FROM equity_curve($1, $2, $3, $4)"


async def equity(
    view: View, account: str, begin: int | None, end: int | None, points: int
) -> dict[str, Any]:
    """Return an account's equity over [begin, end], thinned to at most so many points."""
    quote = await quote_of(view, account)
    newest = milliseconds(await view.fetchval(NEWEST, account)) or 0
    end = newest if end is None else end
    begin = max(end - DAYS * DAY, 0) if begin is None else begin
    first = milliseconds(await view.fetchval(FIRST, account, instant(begin)))
    bucket = fitting(end - max(begin, first or 0), SECOND, points - 1)
    span = (instant(begin), instant(end + 1), timedelta(milliseconds=bucket))
    rows = _with_drawdown(await view.fetch(CURVE, account, *span))
    worst = max(rows, key=lambda row: row[1], default=None)
    return {
        "account": account,
        "quote": quote,
        "cursor": view.cursor,
        "bucket": bucket,
        "columns": COLUMNS,
        "rows": [_row(*row) for row in rows],
        "worst": worst and {"time": milliseconds(worst[0]["time"]), "drawdown": text(worst[1])},
    }


def _with_drawdown(curve: list[asyncpg.Record]) -> list[tuple[asyncpg.Record, Decimal]]:
    """Return each point with its deepest fall from the highest equity so far, a share of it."""
    peak, found = ZERO, []
    for point in curve:
        peak = max(peak, point["highest"])
        fall = ratio(peak - point["lowest"], peak) if peak > 0 else ZERO
        found.append((point, fall or ZERO))
    return found


def _row(point: asyncpg.Record, drawdown: Decimal) -> list[Any]:
    money = (text(point[name]) for name in ("equity", "lowest", "highest", "cash"))
    return [milliseconds(point["time"]), *money, text(drawdown)]
