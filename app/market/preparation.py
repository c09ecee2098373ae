"""Questions that a join raises enter, what the exchange answers leaves as records."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from app.core.events import Account, Epoch, Filters, History, Join, Listing, Record, Series
from app.core.flow import VERSION
from app.market.binance.answers import INTERVALS, Kline, SymbolInfo
from app.market.binance.rest import PAGE, Rest
from app.market.columns import history_of
from app.market.state import AccountJoin

# HALT stops matching for a while and still publishes; what isn't known is not tradable.
OPEN_STATUSES = ("TRADING", "HALT")


@dataclass(frozen=True, slots=True)
class Preparation:
    """What must be known before an account can join.

    Attributes:
        base: Where the first candle begins, milliseconds since the epoch UTC.
        info: The exchange's rules.
        history: Candles that end at or before `base`; none where the exchange has none.
        first_id: The first trade at or after `base`; none where it was not asked for.
    """

    base: int
    info: SymbolInfo
    history: History | None
    first_id: int | None


def join_records(
    listing: Listing, account: Account, entry: AccountJoin, preparation: Preparation
) -> list[Record]:
    """Return epoch, history where there is any, and join of one account, in that order."""
    info, history = preparation.info, preparation.history
    instrument, interval = listing.instrument, listing.interval
    epoch = Epoch(instrument, account, entry.number, info.filters, info.base, interval, VERSION)
    join = Join(instrument, account.name, entry.number, entry.time, entry.next_id, Series.AGGREGATE)
    return [epoch, *([history] if history else []), join]


def refusal_epoch(listing: Listing, account: Account, number: int) -> Epoch:
    """Return the epoch of an account that leaves instead of joining: no order needs its rules."""
    rules = Filters(Decimal(0), Decimal(0), Decimal(0), Decimal(0))
    base = listing.instrument.partition(":")[2].removesuffix(account.quote) or account.quote
    return Epoch(listing.instrument, account, number, rules, base, listing.interval, VERSION)


async def prepare(
    rest: Rest, listing: Listing, info: SymbolInfo, *, base: int, count: int, first: bool
) -> Preparation:
    """Return what a join at the end of the candle that begins at `base` needs.

    Args:
        rest: Where to ask.
        listing: The instrument and the base interval.
        info: The exchange's rules.
        base: A multiple of the interval, milliseconds since the epoch UTC.
        count: Candles to warm up on.
        first: Whether the first trade is to be found.

    Raises:
        RestError: A request failed.
    """
    first_id = await first_trade(rest, info.symbol, base) if first else None
    history = await past_candles(rest, listing, info.symbol, before=base, count=count)
    return Preparation(base, info, history, first_id)


async def first_trade(rest: Rest, symbol: str, time: int) -> int | None:
    """Return the id of the first trade at or after a time; none where there never was a trade.

    Where none came since, it is the id that will come next.

    Raises:
        RestError: A request failed.
    """
    while True:
        rows = await rest.aggregates(symbol, start_time=time, limit=1)
        if rows:
            return rows[0].id
        newest = await rest.aggregates(symbol, limit=1)
        if not newest:
            return None
        # One that came between the two requests is found by asking again.
        if newest[-1].time < time:
            return newest[-1].id + 1


async def past_candles(
    rest: Rest, listing: Listing, symbol: str, *, before: int, count: int
) -> History | None:
    """Return up to `count` candles that end at or before a time; none where there are none.

    Args:
        rest: Where to ask.
        listing: The instrument and the base interval.
        symbol: Its name at the exchange.
        before: A multiple of the interval, milliseconds since the epoch UTC.
        count: How many are wanted.

    Raises:
        RestError: A request failed.
    """
    interval = listing.interval
    name = INTERVALS.get(interval)
    if name is None or not count:
        return None
    rows: list[Kline] = []
    start = before - count * interval
    while start < before:
        page = await rest.klines(symbol, name, start, before - 1)
        rows += [row for row in page if row.close_time < before]
        if len(page) < PAGE:
            break
        start = page[-1].open_time + interval
    return history_of(listing.instrument, interval, rows[-count:])
