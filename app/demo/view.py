"""A picture of a run enters; tables for a terminal, or a line for a log, leave."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from app.core.decimals import plain
from app.core.events import View
from app.demo.picture import Picture
from app.times import format_time

STYLES = {View.LONG: "green", View.SHORT: "red", View.FLAT: "dim", View.NOT_READY: "yellow"}
SIGNS = {View.LONG: "▲", View.SHORT: "▼", View.FLAT: "=", View.NOT_READY: "…"}
WIDE = 120
MADE_UP = "*"
FIXED_LINES = 17  # titles, frames and the head of the three tables
HOLDS_WIDTH = 19
MINUTE = 60_000


@dataclass(frozen=True, slots=True)
class Look:
    """How much room there is, and what must be said of the markets.

    Attributes:
        wide: Whether there is room for every column.
        lines: How many lines the screen has; fills get what the rest leaves.
        made_up: The synthetic instruments.
    """

    wide: bool
    lines: int
    made_up: frozenset[str]

    def name(self, instrument: str) -> str:
        """Return an instrument's short name, marked where its prices are made up."""
        mark = MADE_UP if instrument in self.made_up else ""
        return instrument.partition(":")[2] + mark


def table(picture: Picture, market_time: int, state: str, look: Look) -> Group:
    """Return the live view: accounts, markets, and the newest fills."""
    head = f"exchange time {format_time(market_time)}   {state}{behind(picture, market_time)}"
    room = look.lines - FIXED_LINES - len(picture.accounts) - len(picture.candles)
    parts = [_accounts(picture, look), _markets(picture, look)]
    if room > 0:
        parts.append(_fills(picture, look, room))
    key = f"{MADE_UP} a made-up market   ▲ long ▼ short = flat … not ready"
    return Group(Text(head, style="bold"), *parts, Text(key, "dim"))


def behind(picture: Picture, market_time: int) -> str:
    """Return how far the slowest account's decisions are behind the market, in words."""
    slowest = min((account.time for account in picture.accounts.values()), default=0)
    minutes = (market_time - slowest) // MINUTE
    return f"; decisions are {minutes} minutes behind" if slowest and minutes > 1 else ""


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


def _markets(picture: Picture, look: Look) -> Table:
    columns = ["instrument", "closed", *(["open", "high", "low"] if look.wide else []), "close"]
    shown = _columns("Newest closed candles, and what the strategies think", columns, left=2)
    for name in ("volume", "views"):
        shown.add_column(name, justify="right" if name == "volume" else "left", no_wrap=True)
    for instrument, candle in sorted(picture.candles.items()):
        prices = [candle.open, candle.high, candle.low] if look.wide else []
        views = Text("  ").join(
            Text(f"{strategy} {SIGNS[View(view)]}", style=STYLES[View(view)])
            for strategy, view in sorted(picture.views.get(instrument, {}).items())
        )
        shown.add_row(
            look.name(instrument),
            format_time(candle.time)[11:16],
            *(_price(price) for price in (*prices, candle.close)),
            plain(candle.volume),
            views,
        )
    return shown


def _accounts(picture: Picture, look: Look) -> Table:
    columns = ["account", "decided", "equity", "profit"]
    counted = ["cash", "orders", "fills", "refused"] if look.wide else ["fills"]
    shown = _columns("Accounts", [*columns, *counted], left=2)
    # The one column that may be cut: no amount of money ever is.
    shown.add_column("holds", no_wrap=True, max_width=None if look.wide else HOLDS_WIDTH)
    for name, account in sorted(picture.accounts.items()):
        instruments = sorted({holding.instrument for holding in account.holdings})
        held = [(i, account.quantity(i)) for i in instruments]
        numbers = [str(account.orders), str(account.fills), str(account.refusals)]
        shown.add_row(
            name,
            format_time(account.time)[11:16],
            _money(account.equity),
            Text(_money(account.profit(), sign=True), "green" if account.profit() >= 0 else "red"),
            *([_money(account.cash), *numbers] if look.wide else [numbers[1]]),
            "  ".join(f"{plain(q)} {look.name(i)}" for i, q in held if q) or "nothing",
        )
    return shown


def _fills(picture: Picture, look: Look, room: int) -> Table:
    columns = ["time", "account", "instrument", "strategy", "side"]
    numbers = ["quantity", "price", *(["trade"] if look.wide else [])]
    shown = _columns("Newest fills", [*columns, *numbers], left=len(columns))
    for fill in list(reversed(picture.fills))[:room]:
        shown.add_row(
            format_time(fill.time)[11:19],
            fill.account,
            look.name(fill.instrument),
            fill.strategy,
            Text(fill.side, "green" if fill.side == "buy" else "red"),
            plain(fill.quantity),
            plain(fill.price),
            *([str(fill.trade_id)] if look.wide else []),
        )
    return shown


def _columns(title: str, names: list[str], left: int) -> Table:
    shown = Table(title=title, box=SIMPLE_HEAD)
    for number, name in enumerate(names):
        shown.add_column(name, justify="left" if number < left else "right", no_wrap=True)
    return shown


def _price(value: Decimal | None) -> str:
    return "" if value is None else plain(value)


def _money(value: Decimal, *, sign: bool = False) -> str:
    shown = format(value, "+,.4f" if sign else ",.4f")
    return shown.replace("-0.0000", "+0.0000") if shown == "-0.0000" else shown
