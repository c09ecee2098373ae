"""Closed round trips enter; what they came to on average and at the extremes leaves."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from app.core.decimals import divide, total
from app.core.metrics.figure import Figure, Figures, quotient, undefined
from app.core.metrics.trips import Trip
from app.core.positions import COST_QUANTUM

NO_TRIPS = "no round trip was closed"
NO_WINS = "no trip won"
NO_LOSSES = "no trip lost"


def trip_figures(trips: Sequence[Trip]) -> Figures:
    """Return the figures of closed trips; money exact, means rounded half-even at 1e-12.

    A trip that made exactly nothing counts as closed, neither won nor lost.
    """
    profits = [trip.profit for trip in trips]
    wins = [profit for profit in profits if profit > 0]
    losses = [profit for profit in profits if profit < 0]
    return {
        "trips": Figure(len(trips)),
        "wins": Figure(len(wins)),
        "losses": Figure(len(losses)),
        "win_rate": quotient(len(wins), len(trips), NO_TRIPS),
        "profit_factor": _against(total(wins), total(losses), profits),
        "payoff_ratio": _payoff(wins, losses),
        "expectancy": _mean(profits, NO_TRIPS),
        "average_win": _mean(wins, NO_WINS),
        "average_loss": _mean(losses, NO_LOSSES),
        "best_trip": Figure(max(profits)) if profits else undefined(NO_TRIPS),
        "worst_trip": Figure(min(profits)) if profits else undefined(NO_TRIPS),
        "average_length": _length(trips),
    }


def _against(won: Decimal, lost: Decimal, profits: Sequence[Decimal]) -> Figure:
    return quotient(won, lost.copy_abs(), NO_LOSSES if profits else NO_TRIPS)


def _payoff(wins: Sequence[Decimal], losses: Sequence[Decimal]) -> Figure:
    if not wins or not losses:
        return undefined(NO_TRIPS if not wins and not losses else NO_LOSSES if wins else NO_WINS)
    won = float(total(list(wins))) / len(wins)
    lost = float(total(list(losses)).copy_abs()) / len(losses)
    return quotient(won, lost, NO_LOSSES)


def _mean(profits: Sequence[Decimal], reason: str) -> Figure:
    if not profits:
        return undefined(reason)
    return Figure(divide(total(list(profits)), Decimal(len(profits)), COST_QUANTUM))


def _length(trips: Sequence[Trip]) -> Figure:
    lengths = [trip.exit_time - trip.entry_time for trip in trips if trip.exit_time is not None]
    return Figure(sum(lengths) // len(lengths)) if lengths else undefined(NO_TRIPS)
