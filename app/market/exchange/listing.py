"""A symbol and its rules come in, its `exchangeInfo` entry and its printed numbers go out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from app.core.decimals import EXACT
from app.errors import ConfigurationError

QUOTES = (
    *("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD", "EUR", "GBP", "TRY", "BRL", "JPY"),
    *("BTC", "ETH", "BNB"),
)
_SMALLEST_NOTIONALS = {"BTC": "0.00010000", "ETH": "0.00100000", "BNB": "0.01000000"}


@dataclass(frozen=True, slots=True)
class Listing:
    """What the exchange says of a symbol.

    Attributes:
        symbol: as in payloads, uppercase.
        base: the asset that is bought and sold.
        quote: the asset it is paid in.
        tick_size: prices are multiples of it.
        step_size: quantities are multiples of it.
        min_notional: the least price x quantity of an order.
        base_precision: decimals that quantities are printed with.
        quote_precision: decimals that prices are printed with.
    """

    symbol: str
    base: str
    quote: str
    tick_size: Decimal
    step_size: Decimal
    min_notional: Decimal
    base_precision: int = 8
    quote_precision: int = 8

    def price(self, value: Decimal) -> str:
        """Print a price or an amount of the quote asset."""
        return f"{value:.{self.quote_precision}f}"

    def quantity(self, value: Decimal) -> str:
        """Print an amount of the base asset."""
        return f"{value:.{self.base_precision}f}"

    def information(self, status: str) -> dict[str, object]:
        """Return its entry in `exchangeInfo`."""
        return {
            "symbol": self.symbol,
            "status": status,
            "baseAsset": self.base,
            "baseAssetPrecision": self.base_precision,
            "quoteAsset": self.quote,
            "quotePrecision": self.quote_precision,
            "quoteAssetPrecision": self.quote_precision,
            "baseCommissionPrecision": self.base_precision,
            "quoteCommissionPrecision": self.quote_precision,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT"],
            "icebergAllowed": True,
            "ocoAllowed": True,
            "quoteOrderQtyMarketAllowed": True,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": self._filters(),
            "permissions": [],
            "permissionSets": [["SPOT"]],
            "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
            "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
        }

    def _filters(self) -> list[dict[str, object]]:
        return [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": self.price(self.tick_size),
                "maxPrice": self.price(self.tick_size * 100_000_000),
                "tickSize": self.price(self.tick_size),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": self.quantity(self.step_size),
                "maxQty": self.quantity(self.step_size * 900_000_000),
                "stepSize": self.quantity(self.step_size),
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": self.price(self.min_notional),
                "applyMinToMarket": True,
                "maxNotional": self.price(Decimal(9_000_000)),
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ]


def split_symbol(symbol: str) -> tuple[str, str]:
    """Split a symbol into base and quote by the quote assets that are known.

    Raises:
        ConfigurationError: it ends with none of them.
    """
    for quote in QUOTES:
        if symbol.endswith(quote) and symbol != quote:
            return symbol.removesuffix(quote), quote
    raise ConfigurationError(
        f"the quote asset of {symbol!r} is not known; use a symbol that ends with one of "
        f"{', '.join(QUOTES)}"
    )


def smallest_notional(quote: str) -> Decimal:
    """Return a usual minimum notional for a quote asset."""
    return Decimal(_SMALLEST_NOTIONALS.get(quote, "5.00000000"))


def finest_step(values: Iterable[Decimal]) -> Decimal:
    """Return the smallest power of ten, at least 1e-8, that all values are multiples of.

    At most 1: a whole number says nothing about coarser steps.
    """
    exponents = (value.normalize(EXACT).as_tuple().exponent for value in values)
    decimals = max((-exponent for exponent in exponents if isinstance(exponent, int)), default=8)
    return Decimal(1).scaleb(-min(max(decimals, 0), 8))
