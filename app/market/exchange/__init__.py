"""A local exchange: dump files or seeds come in, Binance's protocol goes out on loopback."""

from app.market.exchange.market import DumpMarket, MarketSource
from app.market.exchange.server import LocalExchange
from app.market.exchange.settings import ExchangeSettings
from app.market.exchange.synthetic import SyntheticMarket

__all__ = [
    "DumpMarket",
    "ExchangeSettings",
    "LocalExchange",
    "MarketSource",
    "SyntheticMarket",
]
