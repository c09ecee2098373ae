"""The tables of a finished run enter; the summary that a demo ends with leaves."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from app.core.decimals import plain
from app.storage.database import Database

COUNTED = (
    *("trades", "candles", "signals", "portfolio", "orders", "fills"),
    *("risk_events", "gaps", "dead_letters"),
)

ACCOUNTS = """
    SELECT a.account, a.quote, a.capital, p.equity,
        (SELECT count(*) FROM orders o WHERE o.account = a.account) AS orders,
        (SELECT count(*) FROM fills f WHERE f.account = a.account) AS fills
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
    shown = Table(title="Accounts at the end", box=SIMPLE_HEAD)
    for name in ("account", "capital", "equity", "profit", "orders", "fills"):
        shown.add_column(name, justify="left" if name == "account" else "right", no_wrap=True)
    for row in rows:
        profit = row["equity"] - row["capital"]
        shown.add_row(
            row["account"],
            f"{plain(row['capital'])} {row['quote']}",
            _money(row["equity"]),
            _money(profit),
            str(row["orders"]),
            str(row["fills"]),
        )
    return shown


def _strategies(account: str, quote: str, rows: list[Any]) -> Table:
    shown = Table(title=f"Profit of {account} by strategy and day, {quote}", box=SIMPLE_HEAD)
    for name in ("day", "strategy", "realised", "unrealised", "fees", "profit"):
        shown.add_column(name, justify="left" if name in ("day", "strategy") else "right")
    for row in rows:
        money = [_money(row[name]) for name in ("realised", "unrealised", "fees", "profit")]
        shown.add_row(str(row["day"]), row["strategy"], *money)
    return shown


def _money(value: Decimal | None) -> str:
    return "" if value is None else format(value, ",.4f")
