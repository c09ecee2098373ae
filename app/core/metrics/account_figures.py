"""What an account's run came to enters in parts; its key figures leave, by definition."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np

from app.core.decimals import multiply, subtract, total
from app.core.events import Holding, Portfolio
from app.core.metrics.arrays import Floats, Times, frozen_floats
from app.core.metrics.book import AccountRecords, Start
from app.core.metrics.definitions import DEFINITIONS
from app.core.metrics.drawdowns import Drawdown, worst
from app.core.metrics.figure import Figure, Figures, quotient, ratio, undefined
from app.core.metrics.ratios import BROKEN, cagr, calmar, sharpe, sortino, volatility
from app.core.metrics.returns import YEAR, Returns, Sampling, sample
from app.core.metrics.trip_figures import trip_figures

NO_FALL = "the equity never fell"
ONE_DECISION = "the run has one decision time only"


def account_figures(  # noqa: PLR0917 - one call, from one place
    records: AccountRecords,
    start: Start,
    last: Portfolio,
    returns: Returns,
    drawdowns: tuple[Drawdown, ...],
    risk_free: float,
    benchmark: Figures,
) -> Figures:
    """Return the figures of an account, in the order of the definitions."""
    curves = records.curves
    gross, equity = frozen_floats(curves.gross), frozen_floats(curves.equity)
    duration = int(curves.time[-1] - curves.time[0])
    found = {
        **_money(records, start, last),
        **_growth(float(start.equity), float(last.equity), duration),
        **_risk(returns, drawdowns, risk_free),
        **trip_figures(records.trips),
        **_exposure(gross, equity),
        **_trading(records, equity, duration),
    }
    found["calmar"] = calmar(found["cagr"], _depth(drawdowns))
    found["benchmark_return"] = benchmark["total_return"]
    found["excess_return"] = _excess(found["total_return"], benchmark["total_return"])
    return {key: found[key] for key in DEFINITIONS}


def benchmark_figures(
    start: Start, times: Times, equity: Floats, how: Sampling, risk_free: float
) -> Figures:
    """Return the figures that make sense for buy and hold; its return counts the fee it paid."""
    drawdowns = worst(times, equity)
    duration = int(times[-1] - times[0])
    found = _growth(float(start.equity), float(equity[-1]), duration)
    found |= _risk(sample(times, equity, how), drawdowns, risk_free)
    found["calmar"] = calmar(found["cagr"], _depth(drawdowns))
    return {key: found[key] for key in DEFINITIONS if key in found}


def _money(records: AccountRecords, start: Start, last: Portfolio) -> Figures:
    holdings = list(records.holdings.values())
    then = list(start.holdings.values())
    realised = subtract(_sum(holdings, "realised"), _sum(then, "realised"))
    fees = subtract(_sum(holdings, "fees"), _sum(then, "fees"))
    worth = total([multiply(h.quantity, records.prices[h.instrument])
                   for h in holdings if h.quantity])  # fmt: skip
    unrealised = subtract(worth, _sum(holdings, "cost"))
    before = subtract(total(list(start.worth.values())), _sum(then, "cost"))
    return {
        "start_equity": Figure(start.equity),
        "end_equity": Figure(last.equity),
        "profit": Figure(subtract(last.equity, start.equity)),
        "realised": Figure(realised),
        "unrealised": Figure(subtract(unrealised, before)),
        "fees": Figure(fees),
    }


def _sum(holdings: list[Holding], name: str) -> Decimal:
    return total([getattr(holding, name) for holding in holdings])


def _growth(start: float, end: float, duration: int) -> Figures:
    total_return = ratio(lambda: end / start - 1.0) if start > 0 else undefined(BROKEN)
    return {"total_return": total_return, "cagr": cagr(start, end, duration)}


def _risk(returns: Returns, drawdowns: tuple[Drawdown, ...], risk_free: float) -> Figures:
    figures = {
        "volatility": volatility(returns),
        "sharpe": sharpe(returns, risk_free),
        "sortino": sortino(returns, risk_free),
    }
    if not drawdowns:
        never = ("start", "trough", "recovery", "length")
        figures |= {f"max_drawdown_{name}": undefined(NO_FALL) for name in never}
        return figures | {"max_drawdown": Figure(0.0)}
    deepest = drawdowns[0]
    recovery = deepest.recovery
    return figures | {
        "max_drawdown": Figure(deepest.depth),
        "max_drawdown_start": Figure(deepest.start),
        "max_drawdown_trough": Figure(deepest.trough),
        "max_drawdown_recovery": undefined("not by the end of the run")
        if recovery is None
        else Figure(recovery),
        "max_drawdown_length": Figure(deepest.length),
    }


def _depth(drawdowns: tuple[Drawdown, ...]) -> float:
    return drawdowns[0].depth if drawdowns else 0.0


def _excess(own: Figure, other: Figure) -> Figure:
    if own.value is None or other.value is None:
        return own if own.value is None else other
    return Figure(float(own.value) - float(other.value))


def _exposure(gross: Floats, equity: Floats) -> Figures:
    sound = equity > 0
    shares: list[float] = (gross[sound] / equity[sound]).tolist()
    invested = int(np.count_nonzero(gross))
    return {
        "invested_time": quotient(invested, len(gross), "no decision time"),
        "average_gross": quotient(math.fsum(shares), len(shares), BROKEN),
        "max_gross": Figure(max(shares)) if shares else undefined(BROKEN),
    }


def _trading(records: AccountRecords, equity: Floats, duration: int) -> Figures:
    traded = total([each.notional for each in records.traded.values()])
    mean = math.fsum(equity.tolist()) / len(equity)
    turnover = quotient(traded, max(mean, 0.0), BROKEN)
    counts = records.counts
    refused = records.refused.values()
    ended = counts.filled + counts.partial + counts.unfilled
    return {
        "turnover": Figure(traded),
        "turnover_ratio": turnover,
        "annual_turnover": _yearly(turnover, duration),
        "orders": Figure(counts.orders),
        "fill_rate": quotient(counts.filled, ended, "no order's life has ended"),
        "fills": Figure(sum(each.fills for each in records.traded.values())),
        "refusals": Figure(sum(each.refused for each in refused)),
        "cuts": Figure(sum(each.cut for each in refused)),
        "halted_time": quotient(counts.halted, len(equity), "no decision time"),
    }


def _yearly(turnover: Figure, duration: int) -> Figure:
    if turnover.value is None:
        return turnover
    value = float(turnover.value)
    return ratio(lambda: value * YEAR / duration) if duration else undefined(ONE_DECISION)
