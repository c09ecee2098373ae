"""Aggregates come in; candles of one interval go out, with those in which nothing was traded."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from decimal import Decimal

from app.market.dumps import Aggregate
from app.market.exchange.intervals import Interval
from app.market.exchange.log import EXACT

ZERO = Decimal(0)


@dataclass(slots=True)
class Bar:
    """One candle.

    Attributes:
        open_time: its first millisecond, UTC since the epoch.
        first_id: its first raw trade, -1 if there is none.
        last_id: its last raw trade, -1 if there is none.
        trades: its number of raw trades.
        volume: base units.
        quote_volume: quote units.
        taker_volume: the part of `volume` whose taker bought.
        taker_quote_volume: the part of `quote_volume` whose taker bought.
    """

    open_time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    first_id: int = -1
    last_id: int = -1
    trades: int = 0
    volume: Decimal = ZERO
    quote_volume: Decimal = ZERO
    taker_volume: Decimal = ZERO
    taker_quote_volume: Decimal = ZERO

    def add(self, aggregate: Aggregate) -> None:
        """Fold an aggregate of this candle's interval into it."""
        price, quantity = aggregate.price, aggregate.quantity
        quote = EXACT.multiply(price, quantity)
        self.high, self.low, self.close = max(self.high, price), min(self.low, price), price
        self.first_id = self.first_id if self.trades else aggregate.first_id
        self.last_id = aggregate.last_id
        self.trades += aggregate.last_id - aggregate.first_id + 1
        self.volume = EXACT.add(self.volume, quantity)
        self.quote_volume = EXACT.add(self.quote_volume, quote)
        if not aggregate.buyer_maker:
            self.taker_volume = EXACT.add(self.taker_volume, quantity)
            self.taker_quote_volume = EXACT.add(self.taker_quote_volume, quote)


class KlineSeries:
    """The candles of one symbol and interval; only those with trades are kept."""

    def __init__(self, interval: Interval, keep: int) -> None:
        self.interval = interval
        self._keep = keep
        self._opens: list[int] = []
        self._bars: list[Bar] = []

    def add(self, aggregate: Aggregate) -> None:
        """Fold the next aggregate in; a void one changes nothing."""
        if aggregate.void:
            return
        open_time = self.interval.open_of(aggregate.time)
        if not self._opens or open_time > self._opens[-1]:
            price = aggregate.price
            self._opens.append(open_time)
            self._bars.append(Bar(open_time, price, price, price, price))
            if len(self._bars) > self._keep + self._keep // 4 + 1:
                del self._opens[: -self._keep], self._bars[: -self._keep]
        self._bars[-1].add(aggregate)

    def at(self, open_time: int) -> Bar | None:
        """Return the candle that opens then, empty if nothing was traded in it.

        None before the first trade, when there is no price.
        """
        place = bisect_right(self._opens, open_time) - 1
        if place < 0:
            return None
        bar = self._bars[place]
        if bar.open_time == open_time:
            return bar
        return Bar(open_time, bar.close, bar.close, bar.close, bar.close)

    def oldest(self, since: int, until: int, limit: int) -> list[Bar]:
        """Return the oldest candles whose open times are in a closed range."""
        if not self._opens:
            return []
        open_time = self.interval.open_of(max(since, self._opens[0]))
        if open_time < since:
            open_time = self.interval.next_open(open_time)
        bars: list[Bar] = []
        while open_time <= until and len(bars) < limit:
            bar = self.at(open_time)
            bars += [bar] if bar else []
            open_time = self.interval.next_open(open_time)
        return bars

    def newest(self, until: int, limit: int) -> list[Bar]:
        """Return the newest candles that open no later than a time, oldest first."""
        bars: list[Bar] = []
        open_time = self.interval.open_of(until)
        while len(bars) < limit and (bar := self.at(open_time)) is not None:
            bars.append(bar)
            open_time = self.interval.open_of(open_time - 1)
        return bars[::-1]
