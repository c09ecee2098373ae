"""The tables of a finished run enter; the summary that a demo ends with leaves."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from app.core.decimals import plain
from app.storage.database import Database

COUNTED = ("trades", "candles", "signals", "portfolio", "orders", "fills", "gaps", "dead_letters")

ACCOUNTS = """
    SELECT a.account, a.quote, a.capital, p.time, p.equity, p.cash,
        (SELECT count(*) FROM orders o WHERE o.account = a.account) AS orders,
        (SELECT count(*) FROM fills f WHERE f.account = a.account) AS fills,
        (SELECT count(*) FROM risk_events r WHERE r.account = a.account) AS events
    FROM accounts a JOIN LATERAL (
        SELECT * FROM portfolio p WHERE p.account = a.account ORDER BY p.time DESC LIMIT 1
    ) p ON true
    ORDER BY a.account
"""


async def show(database: Database, console: Console) -> None:
    """Print what the database holds of the run."""
    counts = [(name, await _count(database, name)) for name in COUNTED]
    console.print("In TimescaleDB: " + ", ".join(f"{count:,} {name}" for name, count in counts))
    rows = await database.fetch(ACCOUNTS)
    console.print(_accounts(rows))
    for row in rows:
        profits = await database.fetch("SELECT * FROM pnl_by_strategy_and_day($1)", row["account"])
        console.print(_strategies(row["account"], row["quote"], profits))


async def _count(database: Database, table: str) -> int:
    # The name is one of the constants above.
    return int(await database.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608


def _accounts(rows: list[Any]) -> Table:
    shown = Table(title="Accounts at the end")
    for name in ("account", "until", "capital", "equity", "profit", "cash", "orders", "fills"):
        shown.add_column(name, justify="left" if name in ("account", "until") else "right")
    shown.add_column("risk events", justify="right")
    for row in rows:
        profit = row["equity"] - row["capital"]
        shown.add_row(
            row["account"],
            f"{row['time']:%Y-%m-%d %H:%M}",
            f"{plain(row['capital'])} {row['quote']}",
            _money(row["equity"]),
            _money(profit),
            _money(row["cash"]),
            str(row["orders"]),
            str(row["fills"]),
            str(row["events"]),
        )
    return shown


def _strategies(account: str, quote: str, rows: list[Any]) -> Table:
    shown = Table(title=f"Profit of {account} by strategy and day, {quote}")
    for name in ("day", "strategy", "realised", "unrealised", "fees", "profit"):
        shown.add_column(name, justify="left" if name in ("day", "strategy") else "right")
    for row in rows:
        money = [_money(row[name]) for name in ("realised", "unrealised", "fees", "profit")]
        shown.add_row(str(row["day"]), row["strategy"], *money)
    return shown


def _money(value: Decimal | None) -> str:
    return "" if value is None else format(value, ",.4f")
