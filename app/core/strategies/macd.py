"""MACD: closes enter, and a view that changes where the line crosses its signal leaves.

Long from the bar at which the MACD line has risen above its signal line, short from the bar at
which it has fallen below. A line that stands on its signal has not crossed it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.core.events import View
from app.core.indicators import Macd, macd_ready, next_macd
from app.core.strategies.base import Advice, Bar, Parameters, Strategy, within

_VIEWS = {1: View.LONG, 0: View.FLAT, -1: View.SHORT}
_WORDS = {1: "above", 0: "on", -1: "below"}


@dataclass(frozen=True, slots=True)
class MacdParameters(Parameters):
    """What MACD can be told: periods, counted in bars."""

    fast: int = field(default=12, metadata=within(2, 1000, "bars of the fast average"))
    slow: int = field(default=26, metadata=within(2, 1000, "bars of the slow average"))
    signal: int = field(default=9, metadata=within(1, 1000, "bars of the signal line"))

    def __post_init__(self) -> None:
        if self.fast >= self.slow:
            raise ValueError(
                f"parameter fast was {self.fast}, must be below slow, {self.slow}, or the two "
                f"averages change places"
            )


@dataclass(frozen=True, slots=True)
class MacdState:
    """What MACD remembers.

    Attributes:
        macd: The averages.
        side: 1 while the line is above its signal, -1 while below, 0 before either.
    """

    macd: Macd = field(default=Macd())
    side: int = 0


def _side(histogram: float, side: int) -> int:
    if histogram == 0.0:
        return side
    return 1 if histogram > 0.0 else -1


def _advice(macd: Macd, before: int, side: int) -> Advice:
    verb = "crossed" if side != before else "was"
    return Advice(
        _VIEWS[side],
        f"The MACD line {macd.line:.6g} {verb} {_WORDS[side]} its signal {macd.signal.value:.6g} "
        f"(histogram {macd.histogram:+.6g}), so the view is {_VIEWS[side]}.",
        {"macd": macd.line, "signal": macd.signal.value, "histogram": macd.histogram},
    )


def update(parameters: MacdParameters, state: MacdState, bar: Bar) -> tuple[MacdState, Advice]:
    """Return the state after a bar, and the view by the side of the signal the line is on."""
    macd = next_macd(state.macd, bar.close, parameters.fast, parameters.slow, parameters.signal)
    if not macd_ready(macd, parameters.signal):
        needed = parameters.slow + parameters.signal - 1
        reason = f"Fewer than the {needed} bars needed have been seen."
        return MacdState(macd, state.side), Advice(View.NOT_READY, reason)
    side = _side(macd.histogram, state.side)
    return MacdState(macd, side), _advice(macd, state.side, side)


STRATEGY = Strategy(
    name="macd",
    parameters=MacdParameters,
    state=MacdState,
    update=update,
    # An average forgets how it was seeded only slowly: after four times its period 0.03 % is left.
    warmup=lambda parameters: 4 * parameters.slow + parameters.signal,
)
