"""An order and the trades it meets enter, one by one; the parts of it that trade leave."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from app.core.decimals import ZERO, add, ceiling_to, floor_to, multiply, subtract
from app.core.events import ExecutionModel, Filters, Liquidity, Order, OrderKind, Side

ONE = Decimal(1)
BASIS_POINT = Decimal("0.0001")
FEE_STEP = Decimal("0.00000001")
# Where the exchange has no rule: as fine as what enters, so that all that follows stays exact.
FINEST = Decimal("0.000000000001")


@dataclass(frozen=True, slots=True)
class Terms:
    """How the orders of an account on an instrument are filled."""

    model: ExecutionModel
    filters: Filters


@dataclass(frozen=True, slots=True)
class Part:
    """What one trade filled: price and fee in the quote currency, quantity in the base asset."""

    price: Decimal
    quantity: Decimal
    fee: Decimal
    liquidity: Liquidity


class Working:
    """An order at work.

    Attributes:
        order: The order.
        filled: How much of it has traded, base asset.
        parts: In how many fills.
    """

    __slots__ = ("_waits", "filled", "order", "parts")

    def __init__(self, order: Order) -> None:
        self.order = order
        self.filled = ZERO
        self.parts = 0
        self._waits = order.stop_price is not None

    @property
    def remaining(self) -> Decimal:
        """What has not traded yet, base asset."""
        return subtract(self.order.quantity, self.filled)

    def meet(self, price: Decimal, offered: Decimal, terms: Terms) -> Part | None:
        """Fill from a trade what it offers; return the part that traded, if any.

        A trade at or beyond the stop price sets a stop order going, from the next trade on. A
        limit order trades at its limit, when a trade is at the limit or through it.

        Args:
            price: The trade's price, quote currency.
            offered: How much of it this order may still take, base asset.
            terms: Slippage, fees, and the steps of price and quantity.
        """
        if self._waits:
            self._waits = not _triggers(self.order, price)
            return None
        if not _reaches(self.order, price):
            return None
        wanted = min(self.remaining, offered)
        quantity = floor_to(wanted, terms.filters.lot_size or FINEST)
        if not quantity:
            return None
        self.filled = add(self.filled, quantity)
        self.parts += 1
        return _part(self.order, price, quantity, terms)


def offered(quantity: Decimal, terms: Terms) -> Decimal:
    """Return how much of a trade's quantity the account may take: quantity x participation."""
    return multiply(quantity, terms.model.participation)


def slipped(price: Decimal, side: Side, terms: Terms) -> Decimal:
    """Return the price moved against the order: price x (1 +- slippage), in whole ticks.

    Rounded against the order as well, but never below one tick.
    """
    tick = terms.filters.tick_size or FINEST
    slippage = multiply(terms.model.slippage, BASIS_POINT)
    if side is Side.BUY:
        return ceiling_to(multiply(price, add(ONE, slippage)), tick)
    return max(floor_to(multiply(price, subtract(ONE, slippage)), tick), tick)


def fee(price: Decimal, quantity: Decimal, rate: Decimal) -> Decimal:
    """Return price x quantity x rate (basis points), rounded up to 1e-8 quote currency."""
    return ceiling_to(multiply(multiply(price, quantity), multiply(rate, BASIS_POINT)), FEE_STEP)


def _triggers(order: Order, price: Decimal) -> bool:
    stop = order.stop_price
    return stop is not None and (price >= stop if order.side is Side.BUY else price <= stop)


def _reaches(order: Order, price: Decimal) -> bool:
    limit = order.limit_price
    return limit is None or (price <= limit if order.side is Side.BUY else price >= limit)


def _part(order: Order, price: Decimal, quantity: Decimal, terms: Terms) -> Part:
    if order.kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT) and order.limit_price is not None:
        at, rate, liquidity = order.limit_price, terms.model.maker_fee, Liquidity.MAKER
    else:
        at, rate = slipped(price, order.side, terms), terms.model.taker_fee
        liquidity = Liquidity.TAKER
    return Part(at, quantity, fee(at, quantity, rate), liquidity)
