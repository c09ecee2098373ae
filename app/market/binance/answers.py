"""Bodies of Binance's REST answers enter; typed rows, or a ProtocolError, leave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.core.events import Filters
from app.market.binance import fields
from app.market.binance.aggregates import read_aggregate
from app.market.dumps import Aggregate

INTERVALS = {
    1_000: "1s",
    **{minutes * 60_000: f"{minutes}m" for minutes in (1, 3, 5, 15, 30)},
    **{hours * 3_600_000: f"{hours}h" for hours in (1, 2, 4, 6, 8, 12)},
    86_400_000: "1d",
}
"""Names of the intervals that begin at multiples of their length since the epoch, by length."""

_KLINE_COLUMNS = 9


@dataclass(frozen=True, slots=True)
class Kline:
    """One past candle.

    Attributes:
        open_time: Its first millisecond, since the epoch UTC.
        close_time: Its last millisecond.
        open, high, low, close: Prices in the quote currency.
        volume: Traded quantity in the base asset.
    """

    open_time: int
    close_time: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True)
class SymbolInfo:
    """What the exchange says of a symbol.

    Attributes:
        symbol: Its name.
        status: TRADING, HALT, BREAK or another.
        base: The asset that is bought and sold.
        quote: The asset it is paid in.
        filters: The rules for orders; 0 where there is none.
        weight_limit: Request weight an address may use per minute; none where not told.
    """

    symbol: str
    status: str
    base: str
    quote: str
    filters: Filters
    weight_limit: int | None


def parse_aggregates(payload: bytes) -> list[Aggregate]:
    """Return the rows of `aggTrades`, ascending by id; raises ProtocolError."""
    return fields.parse(payload, _aggregates)


def parse_klines(payload: bytes) -> list[Kline]:
    """Return the rows of `klines`, ascending by time; raises ProtocolError."""
    return fields.parse(payload, _klines)


def parse_server_time(payload: bytes) -> int:
    """Return the time of `time`, milliseconds since the epoch UTC; raises ProtocolError."""
    return fields.parse(payload, lambda message: fields.time(fields.record(message), "serverTime"))


def parse_symbol(payload: bytes, symbol: str) -> SymbolInfo:
    """Return what `exchangeInfo` says of one symbol; raises ProtocolError, also if nothing."""
    return fields.parse(payload, lambda message: _symbol(fields.record(message), symbol))


def _aggregates(message: object) -> list[Aggregate]:
    rows = [read_aggregate(fields.record(row)) for row in fields.rows(message)]
    fields.ascending([row.id for row in rows])
    return rows


def _klines(message: object) -> list[Kline]:
    rows = [_kline(fields.rows(row)) for row in fields.rows(message)]
    fields.ascending([row.open_time for row in rows])
    return rows


def _kline(row: Sequence[object]) -> Kline:
    if len(row) < _KLINE_COLUMNS:
        raise fields.MalformedError(f"a kline had {len(row)} columns, must have 12")
    columns = ("open_time", "open", "high", "low", "close", "volume", "close_time")
    members: fields.Fields = dict(zip(columns, row, strict=False))
    kline = Kline(
        fields.time(members, "open_time"),
        fields.time(members, "close_time"),
        *(fields.decimal(members, name) for name in columns[1:6]),
    )
    if not min(kline.open, kline.high, kline.low, kline.close):
        raise fields.MalformedError("a price of a kline was 0")
    return kline


def _symbol(message: fields.Fields, symbol: str) -> SymbolInfo:
    entries = (fields.record(entry) for entry in fields.rows(message.get("symbols")))
    members = next((entry for entry in entries if entry.get("symbol") == symbol), None)
    if members is None:
        raise fields.MalformedError(f"{symbol} was not among the symbols")
    return SymbolInfo(
        symbol=symbol,
        status=fields.text(members, "status"),
        base=fields.key(members, "baseAsset"),
        quote=fields.key(members, "quoteAsset"),
        filters=_filters(fields.rows(members.get("filters"))),
        weight_limit=_weight_limit(message),
    )


def _filters(entries: Iterable[object]) -> Filters:
    found = {fields.text(entry, "filterType"): entry for entry in map(fields.record, entries)}
    price, lot = found.get("PRICE_FILTER", {}), found.get("LOT_SIZE", {})
    notional = found.get("NOTIONAL", found.get("MIN_NOTIONAL", {}))
    return Filters(
        tick_size=_rule(price, "tickSize"),
        lot_size=_rule(lot, "stepSize"),
        minimum_quantity=_rule(lot, "minQty"),
        minimum_notional=_rule(notional, "minNotional"),
    )


def _rule(members: fields.Fields, name: str) -> Decimal:
    return fields.decimal(members, name) if name in members else Decimal(0)


def _weight_limit(message: fields.Fields) -> int | None:
    for entry in map(fields.record, fields.rows(message.get("rateLimits", []))):
        minute = entry.get("interval") == "MINUTE" and entry.get("intervalNum") == 1
        if entry.get("rateLimitType") == "REQUEST_WEIGHT" and minute:
            return fields.integer(entry, "limit", low=1)
    return None
