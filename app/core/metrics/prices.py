"""Candles of one instrument enter; few enough bars to draw, and what was wrong, leave."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.core.events import Candle, Gap

MOST_BARS = 1024
REMEMBERED = 128
"""Candles whose trade counts are kept: more than the last 60, which late trades can revise."""


@dataclass(slots=True)
class Bar:
    """Some candles in one: prices as floats, to be drawn.

    Attributes:
        time: End of the interval it covers, milliseconds since the epoch UTC.
    """

    time: int
    open: float
    high: float
    low: float
    close: float

    def take(self, after: Bar) -> None:
        """Take the bar that comes next into this one; its own end stays."""
        self.high = max(self.high, after.high)
        self.low = min(self.low, after.low)
        self.close = after.close


@dataclass(slots=True)
class PriceRecord:
    """What one instrument did.

    The bars cover `interval * 2 ** n`, on whole multiples of that since the epoch, so what they
    are depends on the candles alone. When there are too many, every two become one.

    Attributes:
        interval: The length of a candle, milliseconds; 0 before the first.
        length: The length of a bar.
        bars: At most MOST_BARS.
        candles: How many there were.
        incomplete: How many of them a gap touches.
        empty: How many had no trade.
        revised: How many late trades changed, counted once for each revision.
        late: How many trades came late.
        gaps: What was declared missing, in the order it came, each declaration once.
    """

    interval: int = 0
    length: int = 0
    bars: list[Bar] = field(default_factory=list)
    candles: int = 0
    incomplete: int = 0
    empty: int = 0
    revised: int = 0
    late: int = 0
    gaps: dict[str, Gap] = field(default_factory=dict)
    _trades: dict[int, int] = field(default_factory=dict)

    def take(self, candle: Candle) -> None:
        """Take the next candle, or the revision of one."""
        before = self._trades.get(candle.time, candle.trades)
        self._trades[candle.time] = candle.trades
        if len(self._trades) > REMEMBERED:
            del self._trades[next(iter(self._trades))]
        if candle.revision:
            self.revised += 1
            self.late += candle.trades - before
            return
        self.candles += 1
        self.incomplete += not candle.complete
        self.empty += not candle.trades
        self._draw(candle)

    def _draw(self, candle: Candle) -> None:
        if not self.length:
            self.interval = self.length = candle.interval
        if candle.open is None or candle.high is None or candle.low is None:
            return  # before any price is known
        close = candle.open if candle.close is None else candle.close
        self._append(
            Bar(
                candle.time,
                float(candle.open),
                float(candle.high),
                float(candle.low),
                float(close),
            )
        )
        if len(self.bars) > MOST_BARS:
            self._halve()

    def _append(self, bar: Bar) -> None:
        end = -(-bar.time // self.length) * self.length
        if self.bars and self.bars[-1].time == end:
            self.bars[-1].take(bar)
        else:
            bar.time = end
            self.bars.append(bar)

    def _halve(self) -> None:
        self.length *= 2
        bars, self.bars = self.bars, []
        for bar in bars:
            self._append(bar)
        if len(self.bars) > MOST_BARS:
            self._halve()
