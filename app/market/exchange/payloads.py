"""Trades and candles come in, the JSON of their stream events goes out."""

from __future__ import annotations

from app.market.exchange.intervals import Interval
from app.market.exchange.klines import Bar
from app.market.exchange.listing import Listing
from app.market.exchange.log import Entry, RawTrade

MILLISECOND, MICROSECOND = 1, 1000  # units of time in one millisecond


def _boolean(value: bool) -> str:  # noqa: FBT001 the value itself, not a switch
    return "true" if value else "false"


def aggregate_event(listing: Listing, entry: Entry, unit: int) -> str:
    """Render an `aggTrade` event; its `E` is its `T`, so that no event is ahead of a trade."""
    row = entry.aggregate
    time = row.time * unit
    return (
        f'{{"e":"aggTrade","E":{time},"s":"{listing.symbol}","a":{row.id},'
        f'"p":"{listing.price(row.price)}","q":"{listing.quantity(row.quantity)}",'
        f'"f":{row.first_id},"l":{row.last_id},"T":{time},'
        f'"m":{_boolean(row.buyer_maker)},"M":true}}'
    )


def trade_event(listing: Listing, trade: RawTrade, unit: int) -> str:
    """Render a `trade` event."""
    row = trade.aggregate
    time = row.time * unit
    return (
        f'{{"e":"trade","E":{time},"s":"{listing.symbol}","t":{trade.id},'
        f'"p":"{listing.price(row.price)}","q":"{listing.quantity(trade.quantity)}",'
        f'"T":{time},"m":{_boolean(row.buyer_maker)},"M":true}}'
    )


def kline_event(listing: Listing, interval: Interval, bar: Bar, now: int, unit: int) -> str:
    """Render a `kline` event; the candle is closed once the exchange time has passed its end."""
    price, quantity = listing.price, listing.quantity
    end = interval.next_open(bar.open_time)
    return (
        f'{{"e":"kline","E":{now * unit},"s":"{listing.symbol}","k":{{'
        f'"t":{bar.open_time * unit},"T":{end * unit - 1},"s":"{listing.symbol}",'
        f'"i":"{interval.name}","f":{bar.first_id},"L":{bar.last_id},'
        f'"o":"{price(bar.open)}","c":"{price(bar.close)}","h":"{price(bar.high)}",'
        f'"l":"{price(bar.low)}","v":"{quantity(bar.volume)}","n":{bar.trades},'
        f'"x":{_boolean(end <= now)},"q":"{price(bar.quote_volume)}",'
        f'"V":"{quantity(bar.taker_volume)}","Q":"{price(bar.taker_quote_volume)}","B":"0"}}}}'
    )


def shutdown_event(now: int, unit: int) -> str:
    """Render a `serverShutdown` event."""
    return f'{{"e":"serverShutdown","E":{now * unit}}}'
