"""A file of ticks enters nautilus_trader's backtest engine; the trade ticks a second leave.

Every instrument has minute bars made from its ticks and two strategies: the EMA cross of its own
examples and one on its MACD. The ticks are its own objects before the clock starts.
"""

from __future__ import annotations

import json
import os
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.backtest.engine import (  # type: ignore[import-not-found]
    BacktestEngine,
    BacktestEngineConfig,
)
from nautilus_trader.config import LoggingConfig, StrategyConfig  # type: ignore[import-not-found]
from nautilus_trader.examples.strategies.ema_cross import (  # type: ignore[import-not-found]
    EMACross,
    EMACrossConfig,
)
from nautilus_trader.indicators import (  # type: ignore[import-not-found]
    MovingAverageConvergenceDivergence,
)
from nautilus_trader.model import currencies  # type: ignore[import-not-found]
from nautilus_trader.model.data import BarType, TradeTick  # type: ignore[import-not-found]
from nautilus_trader.model.enums import (  # type: ignore[import-not-found]
    AccountType,
    AggressorSide,
    OmsType,
    OrderSide,
)
from nautilus_trader.model.identifiers import (  # type: ignore[import-not-found]
    InstrumentId,
    Symbol,
    TradeId,
    Venue,
)
from nautilus_trader.model.instruments import CurrencyPair  # type: ignore[import-not-found]
from nautilus_trader.model.objects import (  # type: ignore[import-not-found]
    Currency,
    Money,
    Price,
    Quantity,
)
from nautilus_trader.trading.strategy import Strategy  # type: ignore[import-not-found]

VENUE = Venue("BENCH")
NANOSECONDS = 1_000_000
PRICE_PLACES, SIZE_PLACES = 4, 3


class MacdConfig(StrategyConfig, frozen=True):  # type: ignore[misc,call-arg]
    """What one strategy trades."""

    instrument_id: InstrumentId
    bar_type: BarType
    trade_size: Decimal


class Macd(Strategy):  # type: ignore[misc]
    """Is long while the MACD is above zero."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.macd = MovingAverageConvergenceDivergence(3, 6)

    def on_start(self) -> None:
        """Ask for bars."""
        self.instrument = self.cache.instrument(self.config.instrument_id)
        self.register_indicator_for_bars(self.config.bar_type, self.macd)
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, _bar: Any) -> None:
        """Buy or sell where the sign changed."""
        if not self.macd.initialized:
            return
        long = self.portfolio.is_net_long(self.config.instrument_id)
        if self.macd.value > 0 and not long:
            self._order(OrderSide.BUY)
        elif self.macd.value < 0 and long:
            self._order(OrderSide.SELL)

    def _order(self, side: Any) -> None:
        quantity = self.instrument.make_qty(self.config.trade_size)
        self.submit_order(self.order_factory.market(self.config.instrument_id, side, quantity))


def instrument(name: str) -> CurrencyPair:
    """Return a pair with the exchange's rules of the bench."""
    base = Currency(name[:3], SIZE_PLACES, 0, name[:3], currencies.USDT.currency_type)
    return CurrencyPair(
        instrument_id=InstrumentId(Symbol(name), VENUE),
        raw_symbol=Symbol(name),
        base_currency=base,
        quote_currency=currencies.USDT,
        price_precision=PRICE_PLACES,
        size_precision=SIZE_PLACES,
        price_increment=Price(10**-PRICE_PLACES, PRICE_PLACES),
        size_increment=Quantity(10**-SIZE_PLACES, SIZE_PLACES),
        margin_init=Decimal(0),
        margin_maint=Decimal(0),
        maker_fee=Decimal("0.0001"),
        taker_fee=Decimal("0.0001"),
        ts_event=0,
        ts_init=0,
    )


def ticks(pair: CurrencyPair, rows: list[list[Any]]) -> list[TradeTick]:
    """Return an instrument's trades as its own objects."""
    return [
        TradeTick(
            pair.id,
            Price(float(price), PRICE_PLACES),
            Quantity(float(size), SIZE_PLACES),
            AggressorSide.SELLER if resting else AggressorSide.BUYER,
            TradeId(str(number)),
            at * NANOSECONDS,
            at * NANOSECONDS,
        )
        for number, at, price, size, resting in rows
    ]


def main() -> None:
    """Run one backtest."""
    found: dict[str, list[list[Any]]] = json.loads(Path(os.environ["PEER_FILE"]).read_text())
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=None,
        starting_balances=[Money(10_000_000, currencies.USDT)],
    )
    count = 0
    for name, rows in found.items():
        pair = instrument(name)
        engine.add_instrument(pair)
        engine.add_data(ticks(pair, rows))
        count += len(rows)
        bars = BarType.from_str(f"{pair.id}-1-MINUTE-LAST-INTERNAL")
        engine.add_strategy(
            EMACross(
                EMACrossConfig(
                    instrument_id=pair.id,
                    bar_type=bars,
                    trade_size=Decimal(1),
                    fast_ema_period=3,
                    slow_ema_period=6,
                    subscribe_trade_ticks=False,
                    request_bars=False,
                    order_id_tag=f"{name}-e",
                )
            )
        )
        engine.add_strategy(Macd(MacdConfig(pair.id, bars, Decimal(1), order_id_tag=f"{name}-m")))
    begun = time.perf_counter()
    engine.run()
    seconds = time.perf_counter() - begun
    orders = engine.cache.orders_total_count()
    sys.stdout.write(json.dumps({"trades": count, "seconds": seconds, "orders": orders}) + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
