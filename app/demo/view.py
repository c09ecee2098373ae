"""A picture of a run enters; tables for a terminal, or a line for a log, leave."""

from __future__ import annotations

from decimal import Decimal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from app.core.decimals import plain
from app.core.events import View
from app.demo.picture import Picture
from app.times import format_time

STYLES = {View.LONG: "green", View.SHORT: "red", View.FLAT: "dim", View.NOT_READY: "yellow"}


def table(picture: Picture, market_time: int, backlog: str) -> Group:
    """Return the live view: markets, accounts, and the newest fills."""
    head = f"exchange time {format_time(market_time)}   {backlog}"
    return Group(Text(head, style="bold"), _markets(picture), _accounts(picture), _fills(picture))


def line(picture: Picture, market_time: int, backlog: str) -> str:
    """Return the same in one line."""
    accounts = "  ".join(
        f"{name} {_money(account.equity)} ({_money(account.profit(), sign=True)}), "
        f"{account.orders} orders, {account.fills} fills"
        for name, account in sorted(picture.accounts.items())
    )
    candles = picture.counts.get("candle", 0)
    signals = picture.counts.get("signal", 0)
    when = format_time(market_time)
    return f"{when}  {candles} candles, {signals} signals  {accounts}  {backlog}"


def _markets(picture: Picture) -> Table:
    shown = Table(title="Markets: the newest closed candle, and what the strategies think")
    for name in ("instrument", "closed", "open", "high", "low", "close", "volume"):
        shown.add_column(name, justify="left" if name in ("instrument", "closed") else "right")
    shown.add_column("views")
    for instrument, candle in sorted(picture.candles.items()):
        prices = [_price(value) for value in (candle.open, candle.high, candle.low, candle.close)]
        views = Text("  ").join(
            Text(f"{strategy} {view}", style=STYLES[View(view)])
            for strategy, view in sorted(picture.views.get(instrument, {}).items())
        )
        when = format_time(candle.time)[11:16]
        shown.add_row(instrument, when, *prices, plain(candle.volume), views)
    return shown


def _accounts(picture: Picture) -> Table:
    shown = Table(title="Accounts")
    for name in ("account", "decided", "equity", "profit", "cash", "orders", "fills", "refused"):
        shown.add_column(name, justify="left" if name in ("account", "decided") else "right")
    shown.add_column("holds")
    for name, account in sorted(picture.accounts.items()):
        instruments = sorted({holding.instrument for holding in account.holdings})
        held = [(i, account.quantity(i)) for i in instruments]
        shown.add_row(
            name,
            format_time(account.time)[11:16],
            _money(account.equity),
            Text(_money(account.profit(), sign=True), "green" if account.profit() >= 0 else "red"),
            _money(account.cash),
            str(account.orders),
            str(account.fills),
            str(account.refusals),
            "  ".join(f"{plain(q)} {i.partition(':')[2]}" for i, q in held if q) or "nothing",
        )
    return shown


def _fills(picture: Picture) -> Table:
    shown = Table(title="Newest fills")
    for name in ("time", "account", "instrument", "strategy", "side", "quantity", "price", "trade"):
        shown.add_column(name, justify="right" if name in ("quantity", "price") else "left")
    for fill in reversed(picture.fills):
        shown.add_row(
            format_time(fill.time)[11:19],
            fill.account,
            fill.instrument,
            fill.strategy,
            Text(fill.side, "green" if fill.side == "buy" else "red"),
            plain(fill.quantity),
            plain(fill.price),
            str(fill.trade_id),
        )
    return shown


def _price(value: Decimal | None) -> str:
    return "" if value is None else plain(value)


def _money(value: Decimal, *, sign: bool = False) -> str:
    return format(value, "+,.4f" if sign else ",.4f")
