"""An account's parts enter; what each strategy and instrument made leaves, drawn and in tables."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from app.core.metrics import AccountSummary
from app.core.metrics.arrays import Floats
from app.core.metrics.parts import Part
from app.report.charts.bars import bar
from app.report.charts.columns import pick
from app.report.charts.frame import HALF
from app.report.charts.lines import Curve, Words, line_chart
from app.report.markup import Markup
from app.report.numbers import Money, moment
from app.report.sections.equity import ROWS
from app.report.sections.table import folded, halves, label, section, table, value

COLUMNS = ("profit", "realised", "unrealised", "fees", "turnover", "trips", "win_rate",
           "profit_factor", "expectancy", "invested_time")  # fmt: skip


def curves(account: AccountSummary, money: Money, name: str) -> Markup:
    """Return profit over time by strategy and by instrument."""
    paths = account.paths
    return halves(
        _curves(account, money, f"{name}-strategies", "strategy", paths.strategies),
        _curves(account, money, f"{name}-instruments", "instrument", paths.instruments),
    )


def parts(account: AccountSummary, money: Money, name: str) -> Markup:
    """Return the tables of all parts."""
    return section(
        f"{name}-parts",
        "Who made the profit",
        _table("Strategy", account.strategies, money),
        _table("Instrument", account.instruments, money),
        folded(
            "Each strategy in each instrument",
            _table("Strategy / instrument", account.pairs, money),
        ),
    )


def _curves(
    account: AccountSummary, money: Money, name: str, kind: str, lines: dict[str, Floats]
) -> Markup:
    time = account.paths.time
    ends = ", ".join(f"{each} {money.near(float(line[-1]))}" for each, line in lines.items())
    words = Words(
        f"{name}-chart",
        f"Profit by {kind} in {account.quote}",
        f"After fees, at the end: {ends}.",
    )
    drawn = [Curve(each, time, line) for each, line in lines.items()]
    rows = [
        [moment(int(time[at])), *(money.near(float(line[at])) for line in lines.values())]
        for at in pick(len(time), ROWS)
    ]
    return section(
        name,
        f"Profit by {kind}",
        line_chart(words, HALF, drawn, origin=True),
        folded("The numbers, evenly picked", table(["Time, UTC", *lines], rows)),
    )


def _table(kind: str, found: Sequence[Part], money: Money) -> Markup:
    profits = [Decimal(part.figures["profit"].value or 0) for part in found]
    largest = max((abs(float(profit)) for profit in profits), default=0.0)
    rows = [
        [
            part.name,
            bar(float(profit), largest),
            *(value(key, part.figures[key], money) for key in COLUMNS),
        ]
        for part, profit in zip(found, profits, strict=True)
    ]
    return table([kind, "", *(label(key) for key in COLUMNS)], rows)
