"""Time-series momentum: closes enter, and a view that follows the return over a lookback leaves.

return = close / close `lookback` bars ago - 1. Long once it is above `entry`, until it falls below
`exit`; short once it is below -`entry`, until it rises above -`exit`. The band between the two
keeps a return that wavers around one number from trading back and forth. The effect was described
by Moskowitz, Ooi and Pedersen, "Time series momentum", Journal of Financial Economics 104 (2012).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.core.events import View
from app.core.strategies.base import Advice, Bar, Parameters, Strategy, within

_VIEWS = {1: View.LONG, 0: View.FLAT, -1: View.SHORT}


@dataclass(frozen=True, slots=True)
class MomentumParameters(Parameters):
    """What momentum can be told; returns are fractions, 0.01 is one per cent."""

    lookback: int = field(default=60, metadata=within(1, 1440, "bars the return is taken over"))
    entry: float = field(default=0.005, metadata=within(0, 10, "return that opens a view"))
    exit: float = field(default=0.0, metadata=within(0, 10, "return that ends a view"))

    def __post_init__(self) -> None:
        if self.exit > self.entry:
            raise ValueError(
                f"parameter exit was {self.exit}, must be at most entry, {self.entry}, or a view "
                f"would end as it opens"
            )


@dataclass(frozen=True, slots=True)
class MomentumState:
    """What momentum remembers.

    Attributes:
        closes: The latest closes, oldest first, at most `lookback` of them.
        side: 1 while long, -1 while short, 0 while flat.
    """

    closes: tuple[float, ...] = ()
    side: int = 0


def _side(change: float, side: int, parameters: MomentumParameters) -> int:
    if change > parameters.entry:
        return 1
    if change < -parameters.entry:
        return -1
    return side if side * change >= parameters.exit else 0


def _reason(change: float, view: View, parameters: MomentumParameters) -> str:
    return (
        f"The return over {parameters.lookback} bars was {change:+.4%}, so the view is {view} "
        f"(opens beyond {parameters.entry:.4%}, ends within {parameters.exit:.4%})."
    )


def update(
    parameters: MomentumParameters, state: MomentumState, bar: Bar
) -> tuple[MomentumState, Advice]:
    """Return the state after a bar, and the view by the return over the lookback."""
    closes = (*state.closes, bar.close)
    if len(closes) <= parameters.lookback:
        reason = f"{len(closes)} of the {parameters.lookback + 1} bars needed have been seen."
        return MomentumState(closes, state.side), Advice(View.NOT_READY, reason)
    change = bar.close / closes[0] - 1.0
    side = _side(change, state.side, parameters)
    advice = Advice(_VIEWS[side], _reason(change, _VIEWS[side], parameters), {"return": change})
    return MomentumState(closes[1:], side), advice


STRATEGY = Strategy(
    name="momentum",
    parameters=MomentumParameters,
    state=MomentumState,
    update=update,
    warmup=lambda parameters: parameters.lookback + 1,
)
