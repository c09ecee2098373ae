"""Accounts enter; where each stands, as the tables last had it, leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import asyncpg
import orjson

from app.core.decimals import ZERO
from app.core.events import Account
from app.dashboard.errors import MISSING, AnswerError
from app.dashboard.history.store import View
from app.dashboard.values import LATEST, milliseconds, ratio, row, text
from app.storage.values import instant

CONFIGURED = """
SELECT DISTINCT ON (account) account, quote, capital, configuration FROM accounts
ORDER BY account, epoch DESC
"""
NEWEST = """
SELECT time, cash, equity FROM portfolio WHERE account = $1 AND time <= $2
ORDER BY time DESC LIMIT 1
"""
REPORT = """
SELECT time, day_start, peak, daily_loss, drawdown, gross_notional, halted FROM risk_reports
WHERE account = $1 ORDER BY time DESC LIMIT 1
"""
HALT = """
SELECT time, account, kind, epoch, instrument, strategy, limit_name, wanted, allowed, flatten,
    reason, signal, identity, origin, topic_partition, topic_offset
FROM risk_events WHERE account = $1 AND kind = 'halted' ORDER BY time DESC LIMIT 1
"""
HOLDINGS = """
SELECT strategy, instrument, quantity, cost, mark, realised, unrealised, fees
FROM position_at($1, $2::timestamptz)
"""
LIMITS = ("daily_loss", "drawdown", "gross_notional")


async def configured(view: View) -> list[asyncpg.Record]:
    """Return every account that the tables know, by its newest configuration."""
    return await view.fetch(CONFIGURED)


async def quote_of(view: View, account: str) -> str:
    """Return an account's currency; raises AnswerError where there is no such account."""
    for known in await configured(view):
        if known["account"] == account:
            return str(known["quote"])
    raise AnswerError(
        MISSING,
        f"the tables know no account {account}: it appears once its first epoch is stored.",
    )


async def overview(view: View) -> list[dict[str, Any]]:
    """Return every account as the API gives it."""
    return [await _account(view, known) for known in await configured(view)]


def unknown(accounts: Iterable[Account]) -> list[dict[str, Any]]:
    """Return configured accounts of which nothing else is known."""
    return [
        _shape(orjson.loads(orjson.dumps(_plain_account(account))), account.quote, account.capital)
        for account in accounts
    ]


def _plain_account(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "instruments": account.instruments,
        "strategies": [{"name": each.name} for each in account.strategies],
        "risk": {name: text(getattr(account.risk, name)) for name in LIMITS},
    }


async def _account(view: View, known: asyncpg.Record) -> dict[str, Any]:
    name = known["account"]
    shape = _shape(orjson.loads(known["configuration"]), known["quote"], known["capital"])
    book = await view.fetchrow(NEWEST, name, LATEST)
    if book is None:
        return shape
    holdings = await view.fetch(HOLDINGS, name, LATEST)
    shape |= _book(book, holdings)
    report = await view.fetchrow(REPORT, name)
    if report is not None:
        shape |= _risk(book, report)
    halt = await view.fetchrow(HALT, name) if shape["halted"] else None
    return shape | {
        "halt": halt and row(halt, "risk"),
        "flatten": bool(halt and halt["flatten"]),
    }


def _shape(configuration: Mapping[str, Any], quote: str, capital: Decimal) -> dict[str, Any]:
    """Return an account with nothing known but how it is configured."""
    limits = {f"{name}_limit": configuration["risk"][name] for name in LIMITS}
    money = "equity cash day_start peak day_profit daily_loss drawdown gross_notional realised "
    nothing = dict.fromkeys(f"{money}unrealised fees halt time halted flatten".split())
    return {
        "account": configuration["name"],
        "quote": quote,
        "capital": text(capital),
        "instruments": configuration["instruments"],
        "strategies": [strategy["name"] for strategy in configuration["strategies"]],
        **nothing,
        **limits,
        "positions": [],
    }


def _book(book: asyncpg.Record, holdings: list[asyncpg.Record]) -> dict[str, Any]:
    sums = {
        name: text(sum((held[name] or ZERO for held in holdings), ZERO))
        for name in ("realised", "unrealised", "fees")
    }
    return {
        "time": milliseconds(book["time"]),
        "cash": text(book["cash"]),
        "equity": text(book["equity"]),
        "positions": [position(held) for held in holdings if held["quantity"]],
        **sums,
    }


def _risk(book: asyncpg.Record, report: asyncpg.Record) -> dict[str, Any]:
    names = ("day_start", "peak", "daily_loss", "drawdown", "gross_notional")
    return {
        **{name: text(report[name]) for name in names},
        "day_profit": text(book["equity"] - report["day_start"]),
        "halted": report["halted"],
    }


def position(held: Mapping[str, Any]) -> dict[str, Any]:
    """Return a holding as the API gives it."""
    return row(held) | {"average": text(ratio(held["cost"], held["quantity"]))}


async def positions(view: View, account: str, at: int | None) -> dict[str, Any]:
    """Return an account's books at a time, milliseconds since the epoch UTC; none: the newest."""
    quote = await quote_of(view, account)
    moment = LATEST if at is None else instant(at)
    book = await view.fetchrow(NEWEST, account, moment)
    holdings = [] if book is None else await view.fetch(HOLDINGS, account, moment)
    return {
        "account": account,
        "quote": quote,
        "cursor": view.cursor,
        "time": book and milliseconds(book["time"]),
        "cash": book and text(book["cash"]),
        "equity": book and text(book["equity"]),
        "positions": [position(held) for held in holdings],
    }
