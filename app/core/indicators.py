"""Prices enter one at a time, moving averages leave: the arithmetic of TA-Lib, kept as state.

Every function takes the state before a price and returns the state after it. Floats are combined
with + - * / in one fixed order, so that the same prices give the same bits on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ema:
    """An exponential moving average on its way.

    Attributes:
        taken: Prices taken so far, counted until the average is seeded.
        value: The average once it is ready; before, the sum of the prices taken.
    """

    taken: int = 0
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Macd:
    """Moving average convergence and divergence on its way.

    Attributes:
        taken: Prices taken so far, counted until the slow average begins to be seeded together
            with the fast one.
        fast: The average over the shorter period.
        slow: The average over the longer period.
        line: Fast less slow; 0 before both are ready.
        signal: The average of the line.
    """

    taken: int = 0
    fast: Ema = Ema()
    slow: Ema = Ema()
    line: float = 0.0
    signal: Ema = Ema()

    @property
    def histogram(self) -> float:
        """The line less its signal; means something once the signal is ready."""
        return self.line - self.signal.value


def ema_ready(average: Ema, period: int) -> bool:
    """Return whether enough prices were taken for a value: as many as the period."""
    return average.taken >= period


def next_ema(average: Ema, price: float, period: int) -> Ema:
    """Return the exponential moving average after one more price.

    The first value is the mean of the first `period` prices; from then on
    value = (price - value) * 2 / (period + 1) + value. So does TA-Lib (ta_EMA.c) in its default
    compatibility, without an unstable period.

    Args:
        average: The average before.
        price: The price, in any unit.
        period: Prices the average leans on, at least 1.
    """
    if ema_ready(average, period):
        step = (price - average.value) * (2.0 / (period + 1))
        return Ema(period, step + average.value)
    taken = average.taken + 1
    value = average.value + price
    return Ema(taken, value / period if taken == period else value)


def macd_ready(macd: Macd, signal: int) -> bool:
    """Return whether line and signal have values: after slow + signal - 1 prices."""
    return ema_ready(macd.signal, signal)


def next_macd(macd: Macd, price: float, fast: int, slow: int, signal: int) -> Macd:
    """Return line, signal and histogram after one more price.

    line = EMA(price, fast) - EMA(price, slow), signal = EMA(line, signal), histogram = line -
    signal. Both averages of the price have their first value at price number `slow`: the fast one
    is seeded by the `fast` prices up to there, not by the first ones. So does TA-Lib (ta_MACD.c).
    Appel's usual periods are 12, 26 and 9.

    Args:
        macd: The state before.
        price: The price, in any unit.
        fast: The shorter period.
        slow: The longer period, above `fast`.
        signal: The period of the signal line.
    """
    skipped = slow - fast
    taken = min(macd.taken + 1, skipped + 1)
    fast_average = next_ema(macd.fast, price, fast) if taken > skipped else macd.fast
    slow_average = next_ema(macd.slow, price, slow)
    if not ema_ready(slow_average, slow):
        return Macd(taken, fast_average, slow_average)
    line = fast_average.value - slow_average.value
    return Macd(taken, fast_average, slow_average, line, next_ema(macd.signal, line, signal))
