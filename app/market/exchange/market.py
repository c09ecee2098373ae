"""A source of trades and an exchange time come in; a symbol's log, candles and status go out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path

from app.market.dumps import Aggregate, read_dump
from app.market.exchange.intervals import Interval
from app.market.exchange.klines import KlineSeries
from app.market.exchange.listing import Listing, finest_step, smallest_notional
from app.market.exchange.log import Entry, TradeLog
from app.market.exchange.synthetic import SyntheticMarket

SAMPLE_ROWS = 1000
TRADING = "TRADING"
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class DumpMarket:
    """A symbol whose trades are played from a dump file, at their own times and with their ids.

    Attributes:
        path: a file that `app.market.dumps.read_dump` reads.
        symbol: such as XRPETH.
        base: its base asset.
        quote: its quote asset.
        tick_size: by default the finest step of the first 1,000 prices.
        step_size: by default the finest step of the first 1,000 quantities.
        min_notional: the least price x quantity of an order; by default usual for the quote.
    """

    path: Path
    symbol: str
    base: str
    quote: str
    tick_size: Decimal | None = None
    step_size: Decimal | None = None
    min_notional: Decimal | None = None

    def first_time(self) -> int:
        """Return the time of the first trade in the file."""
        return next(read_dump(self.path)).time


MarketSource = DumpMarket | SyntheticMarket


class Market:
    """One symbol at work: its source feeds a log, which feeds candles."""

    def __init__(self, listing: Listing, entries: Iterator[Entry], keep: int) -> None:
        self.listing = listing
        self.status = TRADING
        self.log = TradeLog(keep)
        self.rest_behind = 0
        self._keep = keep
        self._series: dict[Interval, KlineSeries] = {}
        self._entries = entries
        self._next = next(entries, None)
        self._voids_due = 0
        self._losses_due = 0
        self._aggregate_shift = 0
        self._trade_shift = 0

    @property
    def symbol(self) -> str:
        """The symbol, uppercase."""
        return self.listing.symbol

    @property
    def visible(self) -> int:
        """How many rows of the log REST shows."""
        return self.log.visible(self.rest_behind)

    def take(self, now: int) -> list[Entry]:
        """Log what was traded up to an exchange time, and return what is new.

        Raises:
            DumpError: the source turned out to be damaged.
        """
        taken: list[Entry] = []
        while self._next is not None and self._next.aggregate.time <= now:
            entry, self._next = self._next, next(self._entries, None)
            taken += self._admitted(entry)
        for entry in taken:
            self.log.append(entry)
            for series in self._series.values():
                series.add(entry.aggregate)
        return taken

    def series(self, interval: Interval) -> KlineSeries:
        """Return the candles of an interval, kept from the first time they are asked for."""
        if interval not in self._series:
            series = self._series[interval] = KlineSeries(interval, self._keep)
            for entry in self.log:
                series.add(entry.aggregate)
        return self._series[interval]

    def void(self, count: int) -> None:
        """Let so many void aggregates take the next ids."""
        self._voids_due += count

    def lose(self, count: int) -> None:
        """Let the next aggregates be missing from the streams and from REST alike."""
        self._losses_due += count

    def _admitted(self, entry: Entry) -> list[Entry]:
        """Return the rows an entry of the source becomes: none in a halt, more after `void`."""
        aggregate = entry.aggregate
        if self.status != TRADING:  # nothing is matched, so no id is used
            self._aggregate_shift -= 1
            self._trade_shift -= 0 if aggregate.void else aggregate.last_id - aggregate.first_id + 1
            return []
        voids = [Entry(self._void(aggregate, n)) for n in range(self._voids_due)]
        self._aggregate_shift += len(voids)
        self._voids_due = 0
        if self._losses_due:
            self._losses_due -= 1
            return voids
        return [*voids, self._shifted(entry)]

    def _void(self, aggregate: Aggregate, n: int) -> Aggregate:
        identity = aggregate.id + self._aggregate_shift + n
        return Aggregate(identity, -1, -1, aggregate.time, ZERO, ZERO, aggregate.buyer_maker)

    def _shifted(self, entry: Entry) -> Entry:
        if not self._aggregate_shift and not self._trade_shift:
            return entry
        aggregate = entry.aggregate
        shift = 0 if aggregate.void else self._trade_shift
        return Entry(
            dataclasses.replace(
                aggregate,
                id=aggregate.id + self._aggregate_shift,
                first_id=aggregate.first_id + shift,
                last_id=aggregate.last_id + shift,
            ),
            entry.fills,
        )


def open_market(source: MarketSource, start: int, history_ms: int, keep: int) -> Market:
    """Open a market with everything before a start time as its history.

    Raises:
        DumpError: the file is not a dump.
        OSError: the file can't be read.
    """
    if isinstance(source, SyntheticMarket):
        entries = source.entries(start - history_ms)
    else:
        entries = (Entry(aggregate) for aggregate in read_dump(source.path))
    market = Market(_listing(source), entries, keep)
    market.take(start - 1)
    return market


def _listing(source: MarketSource) -> Listing:
    tick, step = _steps(source)
    notional = source.min_notional
    return Listing(
        symbol=source.symbol,
        base=source.base,
        quote=source.quote,
        tick_size=tick,
        step_size=step,
        min_notional=smallest_notional(source.quote) if notional is None else notional,
    )


def _steps(source: MarketSource) -> tuple[Decimal, Decimal]:
    """Return the tick and the step of a market, measured where a dump doesn't say."""
    if isinstance(source, SyntheticMarket):
        return source.tick_size, source.step_size
    sample = [row for row in islice(read_dump(source.path), SAMPLE_ROWS) if not row.void]
    return (
        source.tick_size or finest_step(row.price for row in sample),
        source.step_size or finest_step(row.quantity for row in sample),
    )
