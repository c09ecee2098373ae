"""Records of the market and candles enter, their rows leave."""

from __future__ import annotations

from itertools import repeat

from app.core.events import Candle, Clock, Epoch, Gap, History, Inbound, Join, Leave, Trades
from app.storage.values import Rows, document, instant, named
from app.storage.values import derived as lineage


def trades(record: Trades, inbound: Inbound) -> Rows:
    """One row a trade."""
    columns = zip(
        map(instant, record.time),
        repeat(record.instrument),
        record.id,
        record.first_id,
        record.last_id,
        record.price,
        record.quantity,
        record.buyer_maker,
        repeat(record.age),
        repeat(inbound.partition),
        repeat(inbound.offset),
        strict=False,  # the repeats have no end
    )
    return [("trades", row) for row in columns]


def clock(record: Clock, inbound: Inbound) -> Rows:
    """One row."""
    place = (inbound.partition, inbound.offset)
    row = (instant(record.time), record.instrument, record.last_id, record.age, *place)
    return [("clocks", row)]


def gap(record: Gap, inbound: Inbound) -> Rows:
    """One row."""
    row = (
        instant(record.from_time),
        instant(record.to_time),
        record.instrument,
        record.first_id,
        record.last_id,
        record.reason,
    )
    return [("gaps", (*row, *named(inbound)))]


def history(record: History, inbound: Inbound) -> Rows:
    """One row a candle."""
    prices = (record.open, record.high, record.low, record.close)
    columns = zip(record.time, *prices, record.volume, strict=True)
    start = (record.instrument, record.interval)
    end = named(inbound)
    return [("history", (instant(time), *start, *values, *end)) for time, *values in columns]


def epoch(record: Epoch, inbound: Inbound) -> Rows:
    """The instrument's rules, and, from the account's first instrument, the account."""
    end = named(inbound)
    rows: Rows = [("instruments", (*_rules(record), *end))]
    account = record.account
    # Every instrument carries the same account; one of them, always the same, stores it.
    if record.instrument == account.instruments[0]:
        row = (account.name, record.number, account.quote, account.capital, record.interval)
        rows.append(("accounts", (*row, record.version, document(account), *end)))
    return rows


def join(record: Join, inbound: Inbound) -> Rows:
    """One row."""
    start = (instant(record.time), "join", record.instrument, record.account, record.epoch)
    return [("memberships", (*start, record.next_id, record.series.value, None, *named(inbound)))]


def leave(record: Leave, inbound: Inbound) -> Rows:
    """One row."""
    start = (instant(record.time), "leave", record.instrument, record.account, record.epoch)
    return [("memberships", (*start, None, None, record.reason, *named(inbound)))]


def candle(record: Candle, inbound: Inbound) -> Rows:
    """One row."""
    row = (
        instant(record.time),
        record.instrument,
        record.interval,
        record.revision,
        record.open,
        record.high,
        record.low,
        record.close,
        record.volume,
        record.quote_volume,
        record.taker_buy_volume,
        record.trades,
        record.first_id,
        record.last_id,
        record.complete,
        record.age,
    )
    return [("candles", (*row, *lineage(inbound)))]


def _rules(record: Epoch) -> tuple[object, ...]:
    filters = record.filters
    return (
        record.instrument,
        record.account.name,
        record.number,
        record.base,
        record.account.quote,
        filters.tick_size,
        filters.lot_size,
        filters.minimum_quantity,
        filters.minimum_notional,
        record.interval,
        record.version,
    )
