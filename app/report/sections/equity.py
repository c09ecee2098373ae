"""An account's curves enter; equity and drawdown against buy and hold leave, with their tables."""

from __future__ import annotations

from app.core.metrics import AccountSummary
from app.core.metrics.arrays import Floats
from app.core.metrics.drawdowns import curve
from app.report.charts.columns import pick
from app.report.charts.frame import LOW, WIDE
from app.report.charts.lines import Curve, Words, line_chart
from app.report.markup import Markup
from app.report.numbers import Money, moment, share
from app.report.sections.table import folded, section, table

ROWS = 40


def equity(account: AccountSummary, money: Money, name: str) -> Markup:
    """Return equity and drawdown, one over the other."""
    paths = account.paths
    falls, held_falls = curve(paths.equity) * 100, curve(paths.benchmark) * 100
    rows = [
        [moment(int(paths.time[at])), money.near(float(paths.equity[at])),
         money.near(float(paths.benchmark[at])), share(float(falls[at]) / 100),
         share(float(held_falls[at]) / 100)]
        for at in pick(len(falls), ROWS)
    ]  # fmt: skip
    heads = ["Time, UTC", "Equity", "Buy and hold", "Drawdown", "… of buy and hold"]
    return section(
        f"{name}-equity",
        "Equity and drawdown",
        _equity(account, money, f"{name}-equity-chart"),
        _falls(account, falls, held_falls, f"{name}-drawdown-chart"),
        folded("The numbers, evenly picked", table(heads, rows)),
    )


def _equity(account: AccountSummary, money: Money, name: str) -> Markup:
    paths = account.paths
    own, held = paths.equity, paths.benchmark
    words = Words(
        name,
        f"Equity of {account.name} in {account.quote}",
        f"From {money.near(float(own[0]))} to {money.near(float(own[-1]))}; buy and hold ends at "
        f"{money.near(float(held[-1]))}.",
    )
    lines = [Curve("equity", paths.time, own, 0), Curve("buy and hold", paths.time, held, 1)]
    return line_chart(words, WIDE, lines)


def _falls(account: AccountSummary, own: Floats, held: Floats, name: str) -> Markup:
    words = Words(
        name,
        f"Drawdown of {account.name}",
        f"The deepest was {-float(own.min()):.2f} % below the peak; of buy and hold "
        f"{-float(held.min()):.2f} %.",
        "\u00a0%",
    )
    time = account.paths.time
    lines = [Curve("drawdown", time, own, 0, area=True), Curve("buy and hold", time, held, 1)]
    return line_chart(words, LOW, lines, origin=True)
