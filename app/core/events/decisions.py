"""Records from candle to allocation: what was seen and what is wanted at a decision time."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from app.core.events import checks


@dataclass(frozen=True, slots=True)
class Candle:
    """One closed interval [time - interval, time) of one instrument.

    Attributes:
        instrument: The instrument.
        interval: Its length, milliseconds.
        time: Its end, milliseconds since the epoch UTC: the decision time.
        open, high, low, close: Prices; all the last close where nothing was traded, none
            before any price is known.
        volume: Traded quantity, base asset.
        quote_volume: Traded value, quote currency.
        taker_buy_volume: The part of `volume` whose taker bought.
        trades: How many trades (of the numbering that the ids follow) it holds.
        first_id, last_id: Ids of its first and last trade; none where nothing was traded.
        complete: Whether no gap touches it.
        age: Milliseconds; how far behind the exchange the feed was when it closed.
        revision: 0 for the one decisions use; later trades make 1, 2, ….
    """

    TYPE: ClassVar[str] = "candle"
    instrument: str
    interval: int
    time: int
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Decimal
    quote_volume: Decimal
    taker_buy_volume: Decimal
    trades: int
    first_id: int | None
    last_id: int | None
    complete: bool
    age: int
    revision: int

    def __post_init__(self) -> None:
        checks.key("instrument", self.instrument)
        checks.time("time", self.time)
        checks.interval("interval", self.interval)
        for name in ("trades", "age", "revision"):
            checks.count(name, getattr(self, name))
        for name in ("open", "high", "low", "close"):
            checks.price(name, getattr(self, name))
        for name in ("volume", "quote_volume", "taker_buy_volume"):
            checks.quantity(name, getattr(self, name))
        if self.taker_buy_volume > self.volume:
            raise checks.refuse("taker_buy_volume", self.taker_buy_volume, "at most volume")
        self._check_prices()
        self._check_ids()

    def _check_prices(self) -> None:
        prices = [self.low, self.open, self.close, self.high]
        known = [price for price in prices if price is not None]
        if known and (
            len(known) < len(prices) or self.low != min(known) or self.high != max(known)
        ):
            raise checks.refuse("open, high, low, close", prices, "all known, between low and high")

    def _check_ids(self) -> None:
        first, last = self.first_id, self.last_id
        if first is None or last is None:
            fits = first is last and not self.trades
        else:
            checks.count("first_id", first)
            checks.count("last_id", last)
            fits = first <= last and self.trades > 0 and self.close is not None
        if not fits:
            raise checks.refuse("first_id, last_id", (first, last), "those of its trades")


class View(StrEnum):
    """What a strategy thinks of an instrument."""

    LONG = "long"
    SHORT = "short"
    FLAT = "flat"
    NOT_READY = "not_ready"


@dataclass(frozen=True, slots=True)
class Signal:
    """One strategy's view of one instrument at one decision time, for one account.

    Attributes:
        account: The account.
        instrument: The instrument.
        strategy: The strategy.
        time: The decision time, milliseconds since the epoch UTC.
        epoch: The account's configuration it was made under.
        view: Long, short, flat, or not ready.
        reason: Why, in one sentence.
        indicators: The values behind it, by name.
        price: Close of the candle; none before any price is known.
        complete: Whether no gap touches the candle.
        age: The candle's age, milliseconds.
    """

    TYPE: ClassVar[str] = "signal"
    account: str
    instrument: str
    strategy: str
    time: int
    epoch: int
    view: View
    reason: str
    indicators: dict[str, float]
    price: Decimal | None
    complete: bool
    age: int

    def __post_init__(self) -> None:
        for name in ("account", "instrument", "strategy"):
            checks.key(name, getattr(self, name))
        checks.time("time", self.time)
        checks.count("epoch", self.epoch)
        checks.count("age", self.age)
        checks.text("reason", self.reason)
        checks.price("price", self.price)
        for name, value in self.indicators.items():
            checks.key("indicators", name)
            checks.real(name, value)


class Action(StrEnum):
    """What a person may tell a running account."""

    HALT = "halt"
    RESUME = "resume"
    FLATTEN = "flatten"


@dataclass(frozen=True, slots=True)
class Command:
    """A person's instruction, appended to the account's partition of `signals`.

    Attributes:
        account: The account.
        command_id: Made where it was given, so that a double click is one command.
        action: What to do at the next decision time.
        by: Who gave it.
        reason: Why.
    """

    TYPE: ClassVar[str] = "command"
    account: str
    command_id: str
    action: Action
    by: str
    reason: str

    def __post_init__(self) -> None:
        checks.key("account", self.account)
        checks.key("command_id", self.command_id)
        checks.text("by", self.by)
        checks.text("reason", self.reason)

    def name(self) -> str:
        """Return the identity."""
        return f"command/{self.account}/{self.command_id}"


@dataclass(frozen=True, slots=True)
class Holding:
    """What one strategy of an account holds of one instrument.

    Attributes:
        strategy: Whose book.
        instrument: The instrument.
        quantity: Base asset; below zero for a short position.
        cost: What the open quantity was bought for (negative: sold for), quote currency.
        realised: Profit booked by closing, before fees, quote currency.
        fees: Fees paid so far, quote currency.
    """

    strategy: str
    instrument: str
    quantity: Decimal
    cost: Decimal
    realised: Decimal
    fees: Decimal

    def __post_init__(self) -> None:
        checks.key("strategy", self.strategy)
        checks.key("instrument", self.instrument)
        for name in ("quantity", "cost", "realised", "fees"):
            checks.amount(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class Mark:
    """The market of one instrument at a decision time.

    Attributes:
        instrument: The instrument.
        price: Close of the candle; none before any price is known.
        complete: Whether no gap touches the candle.
        age: The candle's age, milliseconds.
    """

    instrument: str
    price: Decimal | None
    complete: bool
    age: int

    def __post_init__(self) -> None:
        checks.key("instrument", self.instrument)
        checks.price("price", self.price)
        checks.count("age", self.age)


@dataclass(frozen=True, slots=True)
class Opinion:
    """One strategy's view of one instrument, as the portfolio passes it on."""

    strategy: str
    instrument: str
    view: View
    signal: str

    def __post_init__(self) -> None:
        checks.key("strategy", self.strategy)
        checks.key("instrument", self.instrument)
        checks.text("signal", self.signal)


@dataclass(frozen=True, slots=True)
class Instruction:
    """A command as it acts: what, and the name of the command record."""

    action: Action
    command: str

    def __post_init__(self) -> None:
        checks.text("command", self.command)


@dataclass(frozen=True, slots=True)
class Portfolio:
    """An account at one decision time, all fills before it booked.

    Attributes:
        account: The account.
        time: The decision time, milliseconds since the epoch UTC.
        epoch: The configuration in force.
        cash: Quote currency.
        equity: Cash plus every holding at its mark, to the last digit.
        holdings: One for each strategy and instrument ever held, sorted by both.
        marks: One for each instrument that takes part, sorted.
        opinions: Every signal of this time, sorted by strategy and instrument.
        instructions: Commands that act now, in the order of their partition.
    """

    TYPE: ClassVar[str] = "portfolio"
    account: str
    time: int
    epoch: int
    cash: Decimal
    equity: Decimal
    holdings: tuple[Holding, ...]
    marks: tuple[Mark, ...]
    opinions: tuple[Opinion, ...]
    instructions: tuple[Instruction, ...]

    def __post_init__(self) -> None:
        checks.key("account", self.account)
        checks.time("time", self.time)
        checks.count("epoch", self.epoch)
        checks.amount("cash", self.cash)
        checks.amount("equity", self.equity)


@dataclass(frozen=True, slots=True)
class Weight:
    """A strategy's share of the capital that may be invested."""

    strategy: str
    share: Decimal

    def __post_init__(self) -> None:
        checks.key("strategy", self.strategy)
        checks.share("share", self.share)


@dataclass(frozen=True, slots=True)
class Performance:
    """What one strategy has earned by a decision time, quote currency.

    Attributes:
        strategy: The strategy.
        realised: Profit booked by closing, before fees.
        unrealised: Open positions at their marks less their cost.
        fees: Fees paid.
        profit: Realised plus unrealised less fees.
    """

    strategy: str
    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    profit: Decimal

    def __post_init__(self) -> None:
        checks.key("strategy", self.strategy)
        for name in ("realised", "unrealised", "fees", "profit"):
            checks.amount(name, getattr(self, name))


@dataclass(frozen=True, slots=True)
class Target:
    """What one strategy should hold of one instrument.

    Attributes:
        strategy: The strategy.
        instrument: The instrument.
        quantity: Base asset wanted; below zero to be short.
        held: Base asset held now.
        signal: The name of the signal behind it.
    """

    strategy: str
    instrument: str
    quantity: Decimal
    held: Decimal
    signal: str

    def __post_init__(self) -> None:
        checks.key("strategy", self.strategy)
        checks.key("instrument", self.instrument)
        checks.amount("quantity", self.quantity)
        checks.amount("held", self.held)
        checks.text("signal", self.signal)


@dataclass(frozen=True, slots=True)
class Allocated:
    """The targets of an account at one decision time.

    Attributes:
        account: The account.
        time: The decision time, milliseconds since the epoch UTC.
        epoch: The configuration in force.
        equity: As in the portfolio.
        cash: As in the portfolio.
        weights: The meta-strategy's weight of each strategy, as configured order.
        performance: What each strategy has earned, in the same order.
        targets: One for each strategy and instrument, sorted by both.
        marks: As in the portfolio.
        instructions: As in the portfolio.
    """

    TYPE: ClassVar[str] = "allocated"
    account: str
    time: int
    epoch: int
    equity: Decimal
    cash: Decimal
    weights: tuple[Weight, ...]
    performance: tuple[Performance, ...]
    targets: tuple[Target, ...]
    marks: tuple[Mark, ...]
    instructions: tuple[Instruction, ...]

    def __post_init__(self) -> None:
        checks.key("account", self.account)
        checks.time("time", self.time)
        checks.count("epoch", self.epoch)
        checks.amount("equity", self.equity)
        checks.amount("cash", self.cash)
