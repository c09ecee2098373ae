"""Records from risk to fill: what was ordered, refused, halted, filled and booked."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from app.core.events import checks


class Side(StrEnum):
    """Which way an order trades."""

    BUY = "buy"
    SELL = "sell"


class OrderKind(StrEnum):
    """When and at what price an order may trade."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"


class Liquidity(StrEnum):
    """Whether an order rested before it traded."""

    MAKER = "maker"
    TAKER = "taker"


@dataclass(frozen=True, slots=True)
class Order:
    """One order; it lives until the next decision time.

    Attributes:
        order_id: Unique: account, instrument, strategy and decision time.
        strategy: Whose order.
        side: Buy or sell.
        kind: Market, limit, stop or stop-limit.
        quantity: Base asset.
        limit_price: For limit and stop-limit orders.
        stop_price: For stop and stop-limit orders.
        signal: The name of the signal behind it.
    """

    order_id: str
    strategy: str
    side: Side
    kind: OrderKind
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    signal: str

    def __post_init__(self) -> None:
        checks.text("order_id", self.order_id)
        checks.key("strategy", self.strategy)
        checks.quantity("quantity", self.quantity)
        checks.price("limit_price", self.limit_price)
        checks.price("stop_price", self.stop_price)
        checks.text("signal", self.signal)
        needs_limit = self.kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT)
        needs_stop = self.kind in (OrderKind.STOP, OrderKind.STOP_LIMIT)
        if needs_limit != (self.limit_price is not None):
            raise checks.refuse("limit_price", self.limit_price, f"fit for a {self.kind} order")
        if needs_stop != (self.stop_price is not None):
            raise checks.refuse("stop_price", self.stop_price, f"fit for a {self.kind} order")


@dataclass(frozen=True, slots=True)
class Orders:
    """One instrument's orders of one account at one decision time, perhaps none.

    Attributes:
        account: The account.
        instrument: The instrument.
        time: The decision time, milliseconds since the epoch UTC.
        epoch: The configuration in force; execution finds its rules by it.
        orders: Sorted by strategy.
    """

    TYPE: ClassVar[str] = "orders"
    account: str
    instrument: str
    time: int
    epoch: int
    orders: tuple[Order, ...]

    def __post_init__(self) -> None:
        checks.key("account", self.account)
        checks.key("instrument", self.instrument)
        checks.time("time", self.time)
        checks.count("epoch", self.epoch)


class Limit(StrEnum):
    """The rule that refused or cut an order, or halted an account."""

    ORDER_NOTIONAL = "order_notional"
    POSITION_NOTIONAL = "position_notional"
    GROSS_NOTIONAL = "gross_notional"
    DAILY_LOSS = "daily_loss"
    DRAWDOWN = "drawdown"
    STALE = "stale"
    INCOMPLETE = "incomplete"
    NO_PRICE = "no_price"
    NO_SHORT = "no_short"
    CASH = "cash"
    FILTER = "filter"
    HALTED = "halted"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What risk did not let through.

    Attributes:
        account: The account.
        instrument: The instrument.
        strategy: The strategy.
        time: The decision time, milliseconds since the epoch UTC.
        epoch: The configuration in force.
        limit: The rule.
        wanted: Quantity wanted, base asset; below zero to sell.
        allowed: Quantity let through.
        reason: The rule in words, with its numbers.
        signal: The name of the signal behind it.
    """

    TYPE: ClassVar[str] = "refusal"
    account: str
    instrument: str
    strategy: str
    time: int
    epoch: int
    limit: Limit
    wanted: Decimal
    allowed: Decimal
    reason: str
    signal: str

    def __post_init__(self) -> None:
        for name in ("account", "instrument", "strategy"):
            checks.key(name, getattr(self, name))
        checks.time("time", self.time)
        checks.count("epoch", self.epoch)
        checks.amount("wanted", self.wanted)
        checks.amount("allowed", self.allowed)
        checks.text("reason", self.reason)
        checks.text("signal", self.signal)


@dataclass(frozen=True, slots=True)
class Halted:
    """An account opens nothing from this decision time on, until it is resumed."""

    TYPE: ClassVar[str] = "halted"
    account: str
    time: int
    epoch: int
    limit: Limit
    reason: str
    flatten: bool

    def __post_init__(self) -> None:
        checks.key("account", self.account)
        checks.time("time", self.time)
        checks.count("epoch", self.epoch)
        checks.text("reason", self.reason)


@dataclass(frozen=True, slots=True)
class Resumed:
    """An account may open positions again from this decision time on."""

    TYPE: ClassVar[str] = "resumed"
    account: str
    time: int
    epoch: int
    reason: str

    def __post_init__(self) -> None:
        checks.key("account", self.account)
        checks.time("time", self.time)
        checks.count("epoch", self.epoch)
        checks.text("reason", self.reason)


@dataclass(frozen=True, slots=True)
class RiskReport:
    """An account's use of its limits at one decision time, money in the quote currency.

    Attributes:
        account: The account.
        time: The decision time, milliseconds since the epoch UTC.
        epoch: The configuration in force.
        equity: As in the portfolio.
        day_start: Equity at the day's first decision time (UTC day).
        peak: The highest equity so far.
        daily_loss: `day_start` less `equity`, at least 0.
        drawdown: The fall from `peak` as a share of it.
        gross_notional: Sum of all positions' absolute values.
        halted: Whether the account is halted.
        orders: How many orders were let through.
        refusals: How many refusals were recorded.
    """

    TYPE: ClassVar[str] = "risk_report"
    account: str
    time: int
    epoch: int
    equity: Decimal
    day_start: Decimal
    peak: Decimal
    daily_loss: Decimal
    drawdown: Decimal
    gross_notional: Decimal
    halted: bool
    orders: int
    refusals: int

    def __post_init__(self) -> None:
        checks.key("account", self.account)
        checks.time("time", self.time)
        for name in ("epoch", "orders", "refusals"):
            checks.count(name, getattr(self, name))
        for name in ("equity", "day_start", "peak", "drawdown"):
            checks.amount(name, getattr(self, name))
        for name in ("daily_loss", "gross_notional"):
            checks.quantity(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class Fill:
    """A part of an order that traded.

    Attributes:
        account: The account.
        instrument: The instrument.
        order_id: The order.
        part: Counts the order's fills from 1.
        strategy: Whose order.
        side: Buy or sell.
        decision_time: When the order was decided, milliseconds since the epoch UTC.
        time: Time of the trade that filled it, milliseconds since the epoch UTC.
        trade_id: That trade.
        price: The trade's price moved by slippage, quote currency.
        quantity: Base asset.
        fee: Quote currency.
        liquidity: Maker or taker.
    """

    TYPE: ClassVar[str] = "fill"
    account: str
    instrument: str
    order_id: str
    part: int
    strategy: str
    side: Side
    decision_time: int
    time: int
    trade_id: int
    price: Decimal
    quantity: Decimal
    fee: Decimal
    liquidity: Liquidity

    def __post_init__(self) -> None:
        for name in ("account", "instrument", "strategy"):
            checks.key(name, getattr(self, name))
        checks.text("order_id", self.order_id)
        checks.ordinal("part", self.part)
        checks.count("trade_id", self.trade_id)
        checks.time("decision_time", self.decision_time)
        checks.time("time", self.time)
        checks.price("price", self.price)
        checks.quantity("quantity", self.quantity)
        checks.quantity("fee", self.fee)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an order by the end of its life, quantities in the base asset."""

    order_id: str
    filled: Decimal
    cancelled: Decimal

    def __post_init__(self) -> None:
        checks.text("order_id", self.order_id)
        checks.quantity("filled", self.filled)
        checks.quantity("cancelled", self.cancelled)


@dataclass(frozen=True, slots=True)
class Booked:
    """Every fill of an account on an instrument before a decision time has been sent.

    Attributes:
        account: The account.
        instrument: The instrument.
        time: The decision time, milliseconds since the epoch UTC: booked through it.
        outcomes: What became of each order decided one interval before, in their order.
        final: Whether the instrument has left the account.
    """

    TYPE: ClassVar[str] = "booked"
    account: str
    instrument: str
    time: int
    outcomes: tuple[Outcome, ...]
    final: bool

    def __post_init__(self) -> None:
        checks.key("account", self.account)
        checks.key("instrument", self.instrument)
        checks.time("time", self.time)
