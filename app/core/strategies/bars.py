"""Base intervals enter, bars of one or more of them leave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.core.events import Candle, History
from app.core.strategies.base import Bar


@dataclass(frozen=True, slots=True)
class Partial:
    """A bar that is not over yet.

    Attributes:
        open, high, low, close: Prices so far, quote currency; 0 while `known` is 0.
        volume: Traded quantity so far, base asset.
        known: Base intervals with a price in it.
        complete: Base intervals in it that hold every trade of their time.
    """

    open: float = 0.0
    high: float = 0.0
    low: float = 0.0
    close: float = 0.0
    volume: float = 0.0
    known: int = 0
    complete: int = 0

    def add(self, bar: Bar) -> Partial:
        """Return it with one more base interval, given as a bar."""
        return Partial(
            self.open if self.known else bar.open,
            max(self.high, bar.high),
            min(self.low, bar.low) if self.known else bar.low,
            bar.close,
            self.volume + bar.volume,
            self.known + 1,
            self.complete + bar.complete,
        )

    def end(self, time: int, every: int) -> Bar | None:
        """Return the bar that is over at `time`; None if no price was known in it.

        A bar of which a base interval was missing or without a price is not complete.
        """
        if not self.known:
            return None
        complete = self.complete == every
        return Bar(time, self.open, self.high, self.low, self.close, self.volume, complete)


def of_candle(candle: Candle) -> Bar | None:
    """Return the candle as a bar of one base interval; None if it has no price."""
    if candle.open is None or candle.high is None or candle.low is None or candle.close is None:
        return None
    return Bar(
        candle.time,
        float(candle.open),
        float(candle.high),
        float(candle.low),
        float(candle.close),
        float(candle.volume),
        candle.complete,
    )


def of_history(history: History) -> Iterator[Bar]:
    """Yield the base intervals of a history, oldest first; the past is complete."""
    columns = (history.open, history.high, history.low, history.close, history.volume)
    floats = [[float(number) for number in column] for column in columns]
    for time, first, high, low, last, volume in zip(history.time, *floats, strict=True):
        yield Bar(time, first, high, low, last, volume, complete=True)
