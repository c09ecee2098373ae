"""Typed parameters come in, the rows of each REST endpoint go out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from app.market.exchange.clock import ExchangeClock
from app.market.exchange.intervals import Interval
from app.market.exchange.klines import Bar
from app.market.exchange.listing import Listing
from app.market.exchange.log import EXACT, Entry, RawTrade
from app.market.exchange.market import Market
from app.market.exchange.parameters import (
    ApiError,
    Parameters,
    illegal,
    invalid_combination,
    spelled_symbol,
)
from app.market.exchange.settings import ExchangeSettings

STATUSES = ("TRADING", "HALT", "BREAK")
_LIST_RANGE = r'^\[("[\w\-._&&[^a-z]]{1,50}"(,"[\w\-._&&[^a-z]]{1,50}"){0,})?\]$'
Answer = dict[str, Any] | list[Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One REST path.

    Attributes:
        weight: what a request costs.
        parameters: the names it reads.
        answer: makes the answer from the parameters and the unit of time (1 ms, 1000 µs).
    """

    weight: int
    parameters: tuple[str, ...]
    answer: Callable[[Parameters, int], Answer]


class Endpoints:
    """The REST endpoints over the same logs that feed the streams.

    Attributes:
        empty: whether `exchangeInfo` lists nothing.
        table: every endpoint by its name after `/api/v3/`.
    """

    def __init__(
        self, settings: ExchangeSettings, clock: ExchangeClock, markets: dict[str, Market]
    ) -> None:
        self.empty = False
        self._settings = settings
        self._clock = clock
        self._markets = markets
        pages = ("symbol", "fromId", "startTime", "endTime", "limit")
        lists = ("symbol", "symbols", "permissions", "symbolStatus", "showPermissionSets")
        bars = ("symbol", "interval", "startTime", "endTime", "timeZone", "limit")
        self.table = {
            "ping": Endpoint(1, (), lambda _, __: {}),
            "time": Endpoint(1, (), lambda _, unit: {"serverTime": clock.now * unit}),
            "exchangeInfo": Endpoint(20, lists, self._exchange_info),
            "trades": Endpoint(25, ("symbol", "limit"), self._trades),
            "historicalTrades": Endpoint(25, ("symbol", "limit", "fromId"), self._trades),
            "aggTrades": Endpoint(4, pages, self._aggregates),
            "klines": Endpoint(2, bars, self._klines),
        }

    def _market(self, symbol: str) -> Market:
        market = self._markets.get(symbol)
        if market is None:
            raise ApiError(-1121, "Invalid symbol.")
        return market

    def _limit(self, parameters: Parameters) -> int:
        return parameters.limit(self._settings.default_limit, self._settings.maximum_limit)

    def _aggregates(self, parameters: Parameters, unit: int) -> Answer:
        market, limit = self._market(parameters.symbol()), self._limit(parameters)
        first = parameters.integer("fromId")
        since, until = parameters.since(), parameters.until()
        log, end = market.log, market.visible
        if first is not None and (since is not None or until is not None):
            raise invalid_combination()
        if first is not None:
            rows = log.from_id(first, limit, end)
        elif since is not None:
            rows = log.oldest(since, until, limit, end)
        else:
            rows = log.newest(until, limit, end)
        return [_aggregate_row(market.listing, entry, unit) for entry in rows]

    def _trades(self, parameters: Parameters, unit: int) -> Answer:
        market, limit = self._market(parameters.symbol()), self._limit(parameters)
        first = parameters.integer("fromId")
        rows = (
            market.log.newest_trades(limit, market.visible)
            if first is None
            else market.log.trades_from(first, limit, market.visible)
        )
        return [_trade_row(market.listing, trade, unit) for trade in rows]

    def _klines(self, parameters: Parameters, unit: int) -> Answer:
        market, interval = self._market(parameters.symbol()), parameters.interval()
        limit = self._limit(parameters)
        since, until = parameters.since(), parameters.until()
        last = self._clock.now if until is None else min(until, self._clock.now)
        series = market.series(interval)
        bars = series.newest(last, limit) if since is None else series.oldest(since, last, limit)
        return [_kline_row(market.listing, interval, bar, unit) for bar in bars]

    def _exchange_info(self, parameters: Parameters, unit: int) -> Answer:
        markets = [] if self.empty else self._listed(parameters)
        symbols = [market.listing.information(market.status) for market in markets]
        if parameters.text("showPermissionSets") == "false":
            for symbol in symbols:
                del symbol["permissionSets"]
        return {
            "timezone": "UTC",
            "serverTime": self._clock.now * unit,
            "rateLimits": self._rate_limits(),
            "exchangeFilters": [],
            "symbols": symbols,
        }

    def _listed(self, parameters: Parameters) -> Sequence[Market]:
        asked = _asked_symbols(parameters)
        if asked is not None:
            return [self._market(symbol) for symbol in asked]
        status = parameters.text("symbolStatus")
        if status is not None and status not in STATUSES:
            raise ApiError(-1122, "Invalid symbolStatus.")
        permissions = parameters.text("permissions")
        if permissions is not None and "SPOT" not in _names("permissions", permissions):
            return []
        return [market for market in self._markets.values() if status in (None, market.status)]

    def _rate_limits(self) -> list[dict[str, object]]:
        settings = self._settings
        return [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": settings.weight_per_minute,
            },
            {
                "rateLimitType": "RAW_REQUESTS",
                "interval": "MINUTE",
                "intervalNum": max(1, int(settings.request_window_seconds // 60)),
                "limit": settings.requests_per_window,
            },
        ]


def _asked_symbols(parameters: Parameters) -> list[str] | None:
    """Return the symbols a request names, None if it names none."""
    kinds = [name for name in ("symbol", "symbols") if name in parameters]
    if len(kinds) > 1 or (kinds and ("permissions" in parameters or "symbolStatus" in parameters)):
        raise invalid_combination()
    if not kinds:
        return None
    if kinds == ["symbol"]:
        return [parameters.symbol()]
    symbols = _names("symbols", parameters.required("symbols"), bare=False)
    if len(set(symbols)) < len(symbols):
        raise ApiError(-1151, "Symbol is present multiple times in the list.")
    return [spelled_symbol("symbols", symbol) for symbol in symbols]


def _names(name: str, text: str, *, bare: bool = True) -> list[str]:
    """Return a list sent as JSON, or the one bare name where that is allowed."""
    if bare and not text.startswith("["):
        return [text]
    try:
        names = orjson.loads(text)
    except orjson.JSONDecodeError:
        names = None
    if not isinstance(names, list) or not all(isinstance(item, str) for item in names):
        raise illegal(name, _LIST_RANGE)
    return names


def _aggregate_row(listing: Listing, entry: Entry, unit: int) -> dict[str, object]:
    row = entry.aggregate
    return {
        "a": row.id,
        "p": listing.price(row.price),
        "q": listing.quantity(row.quantity),
        "f": row.first_id,
        "l": row.last_id,
        "T": row.time * unit,
        "m": row.buyer_maker,
        "M": True,
    }


def _trade_row(listing: Listing, trade: RawTrade, unit: int) -> dict[str, object]:
    row = trade.aggregate
    return {
        "id": trade.id,
        "price": listing.price(row.price),
        "qty": listing.quantity(trade.quantity),
        "quoteQty": listing.price(EXACT.multiply(row.price, trade.quantity)),
        "time": row.time * unit,
        "isBuyerMaker": row.buyer_maker,
        "isBestMatch": True,
    }


def _kline_row(listing: Listing, interval: Interval, bar: Bar, unit: int) -> list[object]:
    return [
        bar.open_time * unit,
        listing.price(bar.open),
        listing.price(bar.high),
        listing.price(bar.low),
        listing.price(bar.close),
        listing.quantity(bar.volume),
        interval.next_open(bar.open_time) * unit - 1,
        listing.price(bar.quote_volume),
        bar.trades,
        listing.quantity(bar.taker_volume),
        listing.price(bar.taker_quote_volume),
        "0",
    ]
