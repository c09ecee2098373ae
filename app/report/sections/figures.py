"""An account's figures enter; the headline and the table of all key figures leave."""

from __future__ import annotations

from app.core.metrics import AccountSummary
from app.report.markup import Markup, tag
from app.report.numbers import Money, count, duration, share
from app.report.sections.table import label, note, section, value

HEADLINE = ("total_return", "benchmark_return", "sharpe", "max_drawdown", "trips", "fees")
GROUPS = (
    ("Result", ("start_equity", "end_equity", "profit", "realised", "unrealised", "fees",
                "total_return", "benchmark_return", "excess_return", "cagr")),
    ("Risk", ("volatility", "sharpe", "sortino", "calmar", "max_drawdown", "max_drawdown_start",
              "max_drawdown_trough", "max_drawdown_recovery", "max_drawdown_length")),
    ("Round trips", ("trips", "wins", "losses", "win_rate", "profit_factor", "payoff_ratio",
                     "expectancy", "average_win", "average_loss", "best_trip", "worst_trip",
                     "average_length")),
    ("Exposure and trading", ("invested_time", "average_gross", "max_gross", "turnover",
                              "turnover_ratio", "annual_turnover", "orders", "fill_rate", "fills",
                              "refusals", "cuts", "halted_time")),
)  # fmt: skip


def headline(account: AccountSummary, money: Money) -> Markup:
    """Return the few figures that are looked at first."""
    tiles = [
        tag(
            "div",
            tag("dt", label(key)),
            tag("dd", value(key, account.figures[key], money)),
        )
        for key in HEADLINE
    ]
    return tag("dl", *tiles, class_="tiles")


def figures(account: AccountSummary, money: Money, name: str) -> Markup:
    """Return every figure in groups, and how they were measured."""
    groups = [
        tag(
            "div",
            tag("h4", title),
            tag("dl", *(_entry(account, money, key) for key in keys)),
            class_="group",
        )
        for title, keys in GROUPS
    ]
    return section(
        f"{name}-figures",
        "Key figures",
        note(sampled(account)),
        tag("div", *groups, class_="groups"),
    )


def sampled(account: AccountSummary) -> str:
    """Return how the figures were measured, in a few sentences."""
    how = account.sampling
    return (
        f"Money in {account.quote}, exact on hover. Returns are sampled {how.name} "
        f"({count(account.samples)} whole periods of {duration(how.period)}) and annualised by "
        f"365 days; the risk-free rate is {share(account.risk_free)} a year. Drawdowns are taken "
        f"at each of {count(account.decisions)} decision times. Buy and hold pays the taker fee "
        f"of {account.conditions.account.execution.taker_fee:f} basis points once."
    )


def _entry(account: AccountSummary, money: Money, key: str) -> Markup:
    return tag("div", tag("dt", label(key)), tag("dd", value(key, account.figures[key], money)))
