"""Dump files and a listing enter; the records that a live feed of that market publishes leave.

Where the exchange's clock matters, the next trade stands for it: a candle is closed by a clock
where the next trade is so late that a live connection would have told of silence (`grace` after
the end), else by that trade. Behind the last trade a clock closes the interval it is in, because
a dump that ends is silence, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import orjson

from app.core.events import Clock, Gap, History, Listing, Record, Series
from app.errors import ConfigurationError, LockstepError
from app.market.belonging import Newest, check_follows, check_name
from app.market.binance.answers import INTERVALS, SymbolInfo, parse_symbol
from app.market.columns import history_of, trades_of
from app.market.dumps import Aggregate, read_dump
from app.market.exchange import DumpMarket
from app.market.exchange.intervals import Interval
from app.market.exchange.klines import KlineSeries
from app.market.exchange.listing import split_symbol
from app.market.exchange.market import TRADING, open_market
from app.market.preparation import Preparation, join_records
from app.market.state import AccountJoin, JoinStep
from app.market.tape import VOID
from app.times import format_time

EXCHANGE = "BINANCE:"
MISSING = "the dump does not hold them"


@dataclass(frozen=True, slots=True)
class Dump:
    """The trades of one instrument in files.

    Attributes:
        instrument: For example BINANCE:BTCUSDT.
        files: Dumps, each of which continues the one before.
    """

    instrument: str
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Timed:
    """A record with the time it is due, milliseconds since the epoch UTC: that of its newest fact.

    What has no time of its own has that of the moment the instrument joins.
    """

    time: int
    record: Record


@dataclass(frozen=True, slots=True)
class Manner:
    """How a dump becomes records; as the live feed's settings of the same names.

    Attributes:
        start: Trades before it are history, milliseconds since the epoch UTC; none, or where
            there are none before: it begins with the first trade.
        until: Trades from it on are left out, and every candle up to it is closed, where a trade
            behind it proves that all before it are there; none: all.
        history_count: Candles to warm up on.
        flush_count: Trades in one record at most.
        grace: Milliseconds after the end of an interval that make silence sure.
    """

    start: int | None = None
    until: int | None = None
    history_count: int = 500
    flush_count: int = 1_000
    grace: int = 1_000


def market(dump: Dump, listing: Listing, manner: Manner) -> Iterator[Timed]:
    """Yield what a live feed of these trades publishes, from its first epoch to its last clock.

    Raises:
        DumpError: A file is not a dump; the sentence names the line.
        LockstepError: The files do not continue each other, or hold nothing from `start` on.
        ConfigurationError: An account counts in another currency.
    """
    check(dump)
    info = symbol(dump)
    for account in listing.accounts:
        if account.quote != info.quote:
            raise ConfigurationError(
                f"account {account.name} counts in {account.quote} but {dump.instrument} is "
                f"quoted in {info.quote}: correct the account's quote or its instruments."
            )
    rows = trades(dump)
    past, before, first = _past(rows, listing.interval, manner)
    if first is None:
        raise LockstepError(
            f"{dump.files[-1]} holds no trade of {dump.instrument} at or after the start: choose "
            f"an earlier one, or add the file that continues it."
        )
    # Files prove nothing of the time before their first trade.
    start = first.time if manner.start is None or not before else manner.start
    base = start // listing.interval * listing.interval
    history = _history(dump.instrument, past, listing.interval, base, manner.history_count)
    yield from joins(listing, Preparation(base, info, history, first.id))
    tape = Tape(dump.instrument, listing.interval, manner, base, first.id)
    yield from tape.follow(chain((first,), rows))


def beginning(dump: Dump, interval: int, start: int | None) -> str | None:
    """Return a sentence about where it begins, if that is with the first trade after a start.

    Raises:
        DumpError: The first file is not a dump; the sentence names the line.
    """
    if start is None:
        return None
    first = next(read_dump(dump.files[0])).time
    if first // interval <= start // interval:
        return None
    return (
        f"{dump.instrument} begins at {format_time(first)}, without history: its files hold "
        f"nothing before."
    )


def joins(listing: Listing, preparation: Preparation) -> Iterator[Timed]:
    """Yield epoch, history and join of every account of a listing."""
    time, next_id = preparation.base + listing.interval, preparation.first_id or 0
    for account, number in zip(listing.accounts, listing.numbers, strict=True):
        entry = AccountJoin(account.name, number, time, next_id, JoinStep.JOINED)
        for record in join_records(listing, account, entry, preparation):
            yield Timed(preparation.base, record)


def symbol(dump: Dump) -> SymbolInfo:
    """Return the exchange's rules as the local exchange tells them when it plays the first file.

    Tick and lot are the finest steps that its first 1,000 trades show.

    Raises:
        DumpError: It is not a dump.
        ConfigurationError: The instrument is not of this exchange, or its quote not known.
    """
    name = dump.instrument.removeprefix(EXCHANGE)
    if name == dump.instrument:
        raise ConfigurationError(
            f"instrument {dump.instrument} is not of this exchange: name it {EXCHANGE}SYMBOL."
        )
    played = DumpMarket(dump.files[0], name, *split_symbol(name))
    entry = open_market(played, start=0, history_ms=0, keep=1).listing.information(TRADING)
    return parse_symbol(orjson.dumps({"symbols": [entry]}), name)


def check(dump: Dump) -> Series:
    """Return which numbering the ids of all files follow, by their first rows.

    Raises:
        DumpError: A file is not a dump; the sentence names the line.
        LockstepError: The files are of two kinds, not in order, or named as another symbol's.
    """
    found: Series | None = None
    last = -1
    for path in dump.files:
        check_name(path, dump.instrument.removeprefix(EXCHANGE))
        row = next((row for row in read_dump(path) if not row.void), None)
        if row is None:
            continue
        if row.id <= last:
            raise _goes_back(path, row.id, last)
        series = series_of(row.id, row.first_id, row.last_id)
        if found not in (None, series):
            raise LockstepError(
                f"{path} holds {series} trades after files of {found} ones, whose ids are other "
                f"numbers: import dumps of one kind only."
            )
        found, last = series, row.id
    return found or Series.AGGREGATE


def trades(dump: Dump) -> Iterator[Aggregate]:
    """Yield the rows of all files, void ones too.

    Raises:
        DumpError: A file is not a dump; the sentence names the line.
        LockstepError: The files do not continue each other.
    """
    return (row for _, row in located(dump))


def located(
    dump: Dump, after: int = -1, newest: Newest | None = None
) -> Iterator[tuple[Path, Aggregate]]:
    """Yield the rows of all files with the file of each, void ones too.

    Args:
        dump: The files.
        after: Rows up to this id are left out.
        newest: The trade that the first one must be able to follow.

    Raises:
        DumpError: A file is not a dump; the sentence names the line.
        LockstepError: The files do not continue each other, or the trade.
    """
    last = -1
    for path in dump.files:
        before, trade = newest, None
        for row in read_dump(path):
            if row.id <= last:
                raise _goes_back(path, row.id, last)
            last = row.id
            if row.id <= after:
                continue
            if not row.void:
                if before is not None:
                    check_follows(path, row, before)
                before, trade = None, row
            yield path, row
        newest = Newest.of(trade) if trade else newest


def _goes_back(path: Path, identity: int, last: int) -> LockstepError:
    return LockstepError(
        f"{path} goes back to id {identity} after {last}: name the files in the order of their "
        f"ids, each once."
    )


def series_of(trade_id: int, first_id: int, last_id: int) -> Series:
    """Return which numbering a trade's id follows: a raw trade covers itself alone."""
    return Series.RAW if trade_id == first_id == last_id else Series.AGGREGATE


def _past(
    rows: Iterator[Aggregate], interval: int, manner: Manner
) -> tuple[KlineSeries, int, Aggregate | None]:
    """Fold what was before the start into candles.

    Return them, how many rows they were made of, and the first row after them.
    """
    name = INTERVALS.get(interval)
    candles = KlineSeries(Interval(name or "1m"), manner.history_count + 1)
    begin = None if manner.start is None else manner.start // interval * interval
    count = 0
    for row in rows:
        if begin is None or row.time >= begin:
            return candles, count, row
        count += 1
        if name is not None and manner.history_count:
            candles.add(row)
    return candles, count, None


def _history(
    instrument: str, candles: KlineSeries, interval: int, base: int, count: int
) -> History | None:
    bars = candles.oldest(base - count * interval, base - 1, count)
    return history_of(instrument, interval, bars)


class Tape:
    """Trades of one instrument in id order become records; what is silent gets clocks.

    Args:
        instrument: The instrument.
        interval: The base interval, milliseconds.
        manner: How large records are, and when silence is sure.
        closed: Candles up to here are closed, milliseconds since the epoch UTC.
        next_id: The id due.
        newest: The time of the newest trade before; 0 where there was none.
    """

    def __init__(
        self,
        instrument: str,
        interval: int,
        manner: Manner,
        closed: int,
        next_id: int,
        *,
        newest: int = 0,
    ) -> None:
        self._instrument = instrument
        self._interval = interval
        self._manner = manner
        self._closed = max(closed, newest // interval * interval)
        self._next_id = next_id
        self._newest = newest or closed
        self._batch: list[Aggregate] = []

    def follow(self, rows: Iterable[Aggregate]) -> Iterator[Timed]:
        """Yield the records of all rows, and the last clock."""
        until, batch, most = self._manner.until, self._batch, self._manner.flush_count
        boundary = self._closed + self._interval
        proven = None
        for row in rows:
            if until is not None and row.time >= until:
                proven = until
                break
            if row.id != self._next_id or row.time >= boundary or row.void:
                yield from self._turn(row)
                boundary = self._closed + self._interval
            self._next_id = row.id + 1
            if not row.void:
                batch.append(row)
                if len(batch) == most:
                    yield self._flush()
        yield from self._end(proven)

    def _turn(self, row: Aggregate) -> Iterator[Timed]:
        """Yield what comes before a row that is not simply the next of its interval."""
        if self._batch:
            yield self._flush()
        if row.id != self._next_id:
            # Silence with ids missing is no proof of anything, so no clock here.
            yield self._gap(row)
        else:
            yield from self._clocks(row.time - self._manner.grace)
        self._closed = max(self._closed, row.time // self._interval * self._interval)
        if row.void:
            self._newest = max(self._newest, row.time)
            yield Timed(row.time, Gap(self._instrument, row.id, row.id, row.time, row.time, VOID))

    def _flush(self) -> Timed:
        record = trades_of(self._instrument, self._batch, age=0)
        time = self._batch[-1].time
        self._newest = max(self._newest, *record.time)
        self._batch.clear()
        return Timed(time, record)

    def _gap(self, row: Aggregate) -> Timed:
        from_time = self._newest
        gap = Gap(
            self._instrument,
            self._next_id,
            row.id - 1,
            from_time,
            max(from_time, row.time),
            MISSING,
        )
        return Timed(row.time, gap)

    def _clocks(self, settled: int) -> Iterator[Timed]:
        """Yield a clock for every interval that ends at or before a time and is still open."""
        while (time := self._closed + self._interval) <= settled:
            self._closed = time
            yield Timed(time, Clock(self._instrument, time, max(self._next_id - 1, 0), 0))

    def _end(self, proven: int | None) -> Iterator[Timed]:
        """Yield what is left; nothing but a trade behind it proves silence up to a time."""
        if self._batch:
            yield self._flush()
        open_end = self._newest // self._interval * self._interval + self._interval
        until = self._manner.until
        yield from self._clocks(proven or min(open_end, until or open_end))
