"""What each figure means: name, unit, formula and source, as data for reports and pages."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """How a figure is written."""

    MONEY = "money"
    SHARE = "share"
    RATIO = "ratio"
    COUNT = "count"
    DURATION = "duration"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Definition:
    """One figure.

    Attributes:
        key: Its name in documents.
        label: Its name for people.
        unit: Money in the account's quote currency; a share is 1 for 100 %; durations and times
            in milliseconds.
        formula: In words and signs.
        source: Where the definition is from; empty for plain arithmetic.
    """

    key: str
    label: str
    unit: Unit
    formula: str
    source: str = ""


_M, _S, _R = Unit.MONEY, Unit.SHARE, Unit.RATIO
_C, _D, _T = Unit.COUNT, Unit.DURATION, Unit.TIME

_ALL = (
    Definition("start_equity", "Equity at the start", _M,
        "cash + Σ quantity * mark at the first decision time; the capital, where the run is whole"),
    Definition("end_equity", "Equity at the end", _M,
        "cash + Σ quantity * mark at the last decision time"),
    Definition("profit", "Profit", _M,
        "end equity - start equity = realised + unrealised - fees, to the last digit"),
    Definition("realised", "Realised", _M,
        "Σ over closed quantities of (proceeds - average cost), before fees, since the start"),
    Definition("unrealised", "Unrealised", _M,
        "Σ (quantity * mark - cost) of what is open, its change since the start"),
    Definition("fees", "Fees", _M, "Σ fee of every booked fill"),
    Definition("total_return", "Total return", _S, "end equity / start equity - 1"),
    Definition("benchmark_return", "Buy and hold", _S,
        "return of equal parts of the start equity in each instrument, bought at the first mark, "
        "the taker fee paid once, never sold"),
    Definition("excess_return", "Against buy and hold", _S, "total return - buy and hold"),
    Definition("cagr", "Growth a year (CAGR)", _S,
        "(end equity / start equity)^(365 days / duration) - 1; runs of 30 days or more"),
    Definition("volatility", "Volatility a year", _S,
        "standard deviation of returns (divisor n - 1) * √(periods in 365 days)"),
    Definition("sharpe", "Sharpe ratio", _R,
        "mean(return - risk-free) / standard deviation * √(periods in 365 days)",
        "Sharpe, The Sharpe Ratio, Journal of Portfolio Management 21(1), 1994"),
    Definition("sortino", "Sortino ratio", _R,
        "mean(return - risk-free) / √(mean over all n of min(return - risk-free, 0)²) "
        "* √(periods in 365 days)",
        "Sortino and Price, Performance Measurement in a Downside Risk Framework, "
        "Journal of Investing 3(3), 1994"),
    Definition("calmar", "Calmar ratio", _R,
        "growth a year / maximum drawdown of the whole run",
        "Young, Calmar Ratio: A Smoother Tool, Futures, October 1991"),
    Definition("max_drawdown", "Maximum drawdown", _S,
        "greatest (running peak - equity) / running peak over all decision times",
        "Magdon-Ismail and Atiya, Maximum Drawdown, Risk 17(10), 2004"),
    Definition("max_drawdown_start", "Peak before", _T,
        "the last decision time at the peak before the maximum drawdown"),
    Definition("max_drawdown_trough", "Trough", _T,
        "the decision time of the lowest equity of the maximum drawdown"),
    Definition("max_drawdown_recovery", "Recovered", _T,
        "the first decision time at which that peak was reached again"),
    Definition("max_drawdown_length", "Under water for", _D,
        "from its begin to its recovery, or to the end of the run"),
    Definition("trips", "Round trips", _C,
        "times a strategy's position in an instrument left zero and came back to it or crossed it"),
    Definition("wins", "Winning trips", _C, "closed round trips with a profit above 0 after fees"),
    Definition("losses", "Losing trips", _C, "closed round trips with a profit below 0 after fees"),
    Definition("win_rate", "Win rate", _S, "winning trips / closed round trips"),
    Definition("profit_factor", "Profit factor", _R,
        "Σ profit of winning trips / |Σ profit of losing trips|"),
    Definition("payoff_ratio", "Payoff ratio", _R,
        "mean profit of winning trips / |mean profit of losing trips|"),
    Definition("expectancy", "Expectancy a trip", _M,
        "Σ profit of closed round trips / their number, rounded half-even at 1e-12"),
    Definition("average_win", "Average win", _M,
        "Σ profit of winning trips / their number, rounded half-even at 1e-12"),
    Definition("average_loss", "Average loss", _M,
        "Σ profit of losing trips / their number, rounded half-even at 1e-12"),
    Definition("best_trip", "Best trip", _M, "highest profit of a closed round trip"),
    Definition("worst_trip", "Worst trip", _M, "lowest profit of a closed round trip"),
    Definition("average_length", "Average trip lasts", _D,
        "mean of exit time - entry time over closed round trips, in whole milliseconds"),
    Definition("invested_time", "Time invested", _S,
        "decision times with an open position / decision times"),
    Definition("average_gross", "Average exposure", _S,
        "mean over decision times of Σ over instruments |position| * mark / equity"),
    Definition("max_gross", "Largest exposure", _S,
        "greatest Σ over instruments |position| * mark / equity at a decision time"),
    Definition("turnover", "Traded", _M, "Σ quantity * price of every booked fill, both sides"),
    Definition("turnover_ratio", "Turnover", _R,
        "traded / mean equity: how often the equity was traded, purchases and sales"),
    Definition("annual_turnover", "Turnover a year", _R, "turnover * 365 days / duration"),
    Definition("orders", "Orders", _C, "orders that risk let through"),
    Definition("fill_rate", "Orders filled whole", _S,
        "orders filled whole / orders whose life has ended"),
    Definition("fills", "Fills", _C, "fills booked by the last decision time"),
    Definition("refusals", "Refused", _C, "orders of which risk let nothing through"),
    Definition("cuts", "Cut", _C, "orders of which risk let a part through"),
    Definition("halted_time", "Time halted", _S,
        "decision times at which the account was halted / decision times"),
)  # fmt: skip

DEFINITIONS: dict[str, Definition] = {definition.key: definition for definition in _ALL}
"""Every figure by its key, in the order reports show them."""
