"""A report enters; a summary for a terminal leaves: tables there, plain lines anywhere else."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.core.metrics import DEFINITIONS, AccountSummary, Figure
from app.report.numbers import Money, duration, figure, moment
from app.report.run import Report

SHOWN = ("start_equity", "end_equity", "profit", "fees", "total_return", "benchmark_return",
         "cagr", "volatility", "sharpe", "sortino", "calmar", "max_drawdown",
         "max_drawdown_length", "trips", "win_rate", "profit_factor", "expectancy",
         "invested_time", "average_gross", "turnover_ratio", "orders", "fills",
         "refusals")  # fmt: skip
MONEY = ("profit", "realised", "unrealised", "fees", "trips", "win_rate")


def print_summary(report: Report, console: Console) -> None:
    """Print the key figures of each account, what its parts made, and the warnings.

    Args:
        report: What is summed up.
        console: On a terminal tables, else `account`, figure and value a line, tabs between.
    """
    if console.is_terminal:
        for account in report.summary.accounts:
            console.print(_tables(account))
        for warning in report.warnings():
            console.print(Text(f"! {warning}", style="yellow"))
        return
    for line in lines(report):
        console.file.write(f"{line}\n")  # as it is: a console would expand the tabs


def lines(report: Report) -> list[str]:
    """Return the summary as plain lines, tabs between the columns."""
    found = []
    for account in report.summary.accounts:
        money = _money(account)
        found.append(f"{account.name}\tfrom\t{moment(account.start)}")
        found.append(f"{account.name}\tto\t{moment(account.end)}")
        found += [
            f"{account.name}\t{key}\t{_value(key, account.figures[key], money)}" for key in SHOWN
        ]
    return found + [f"warning\t{warning}" for warning in report.warnings()]


def _tables(account: AccountSummary) -> RenderableType:
    length = duration(account.end - account.start)
    head = Text(
        f"{account.name}  {moment(account.start)} to {moment(account.end)} UTC  ({length})", "bold"
    )
    words = Text(
        f"Money in {account.quote}; returns sampled {account.sampling.name}, annualised by 365 "
        f"days.",
        "dim",
    )
    return Group(head, words, _figures(account), _parts(account))


def _figures(account: AccountSummary) -> Table:
    """Return the figures in two columns, read down."""
    shown = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for justify in ("left", "right", "left", "right"):
        shown.add_column(justify=justify, no_wrap=True)
    half = -(-len(SHOWN) // 2)
    for at in range(half):
        cells: list[str] = []
        for key in SHOWN[at::half]:
            cells += [DEFINITIONS[key].label, _value(key, account.figures[key], _money(account))]
        shown.add_row(*cells)
    return shown


def _parts(account: AccountSummary) -> Table:
    shown = Table(box=SIMPLE_HEAD)
    shown.add_column("made by", no_wrap=True)
    for key in MONEY:
        shown.add_column(DEFINITIONS[key].label.lower(), justify="right", no_wrap=True)
    for part in (*account.strategies, *account.instruments):
        cells = [_value(key, part.figures[key], _money(account)) for key in MONEY]
        shown.add_row(part.name, *cells)
    return shown


def _money(account: AccountSummary) -> Money:
    return Money.of(account.quote, account.conditions.account.capital)


def _value(key: str, found: Figure, money: Money) -> str:
    return figure(DEFINITIONS[key], found, money)
