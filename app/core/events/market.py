"""Records of `trades`: what the market did, and what steers a run, per instrument."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from app.core.columns import DecimalColumn, IntegerColumn, bounds, covers, rises
from app.core.events import checks
from app.core.events.account import Account


class Series(StrEnum):
    """Which of the exchange's two numberings of trades an instrument's ids follow."""

    AGGREGATE = "aggregate"
    RAW = "raw"


@dataclass(frozen=True, slots=True)
class Trades:
    """Some trades of one instrument, in id order, in columns of one length.

    Attributes:
        instrument: For example BINANCE:BTCUSDT.
        id: The exchange's ids.
        first_id: First raw trade each covers.
        last_id: Last raw trade each covers.
        time: When each was matched, milliseconds since the epoch UTC.
        price: In the quote currency.
        quantity: In the base asset.
        buyer_maker: Whether the buyer rested, so that the taker sold.
        age: Milliseconds from the oldest of these trades to the newest exchange time seen
            on the connection when it was received; 0 for imports.
    """

    TYPE: ClassVar[str] = "trades"
    instrument: str
    id: IntegerColumn
    first_id: IntegerColumn
    last_id: IntegerColumn
    time: IntegerColumn
    price: DecimalColumn
    quantity: DecimalColumn
    buyer_maker: tuple[bool, ...]
    age: int

    def __post_init__(self) -> None:
        checks.key("instrument", self.instrument)
        checks.count("age", self.age)
        columns = (self.id, self.first_id, self.last_id, self.time)
        checks.same_length("trades", (*columns, self.price, self.quantity, self.buyer_maker))
        if not rises(self.id):
            raise checks.refuse("id", self.id[:5], "ids that rise")
        checks.count("id", self.id[0])
        checks.count("id", self.id[-1])
        self._check_covered()
        for moment in bounds(self.time):
            checks.time("time", moment)
        checks.prices("price", self.price)
        checks.sizes("quantity", self.quantity)

    def _check_covered(self) -> None:
        if self.first_id == self.last_id == self.id:
            return  # each covers itself, as where raw trades are imported
        if not covers(self.first_id, self.last_id):
            raise checks.refuse("first_id", self.first_id[:5], "at most last_id")
        checks.count("id", bounds(self.first_id)[0])
        checks.count("id", bounds(self.last_id)[1])

    def name(self) -> str:
        """Return the identity: that of the first trade."""
        return trade_name(self.instrument, self.id[0])


def trade_name(instrument: str, trade_id: int) -> str:
    """Return the identity of one trade."""
    return f"trades/{instrument}/{trade_id}"


@dataclass(frozen=True, slots=True)
class Clock:
    """Every trade of the instrument before `time` is published.

    Attributes:
        instrument: Whose clock it is.
        time: Milliseconds since the epoch UTC.
        last_id: Id of the last trade before it; 0 where none was ever seen.
        age: Milliseconds from `time` to the newest exchange time seen when it was sent.
    """

    TYPE: ClassVar[str] = "clock"
    instrument: str
    time: int
    last_id: int
    age: int

    def __post_init__(self) -> None:
        checks.key("instrument", self.instrument)
        checks.time("time", self.time)
        checks.count("last_id", self.last_id)
        checks.count("age", self.age)

    def name(self) -> str:
        """Return the identity."""
        return f"clock/{self.instrument}/{self.time}"


@dataclass(frozen=True, slots=True)
class Gap:
    """Trades that could not be had in time, final for decisions.

    Attributes:
        instrument: Whose trades.
        first_id: The first one missing.
        last_id: The last one missing; none while that is not known.
        from_time: Time of the last trade before, milliseconds since the epoch UTC.
        to_time: The gap touches every candle from `from_time` until here.
        reason: Why they could not be had.
    """

    TYPE: ClassVar[str] = "gap"
    instrument: str
    first_id: int
    last_id: int | None
    from_time: int
    to_time: int
    reason: str

    def __post_init__(self) -> None:
        checks.key("instrument", self.instrument)
        checks.count("first_id", self.first_id)
        if self.last_id is not None:
            checks.count("last_id", self.last_id)
            if self.last_id < self.first_id:
                raise checks.refuse("last_id", self.last_id, f"at least {self.first_id}")
        checks.time("from_time", self.from_time)
        checks.time("to_time", self.to_time)
        if self.to_time < self.from_time:
            raise checks.refuse("to_time", self.to_time, f"at least {self.from_time}")
        checks.text("reason", self.reason)

    def name(self) -> str:
        """Return the identity."""
        end = "" if self.last_id is None else self.last_id
        # An open gap that goes on is declared again with a later end: each is a record of its own.
        return f"gap/{self.instrument}/{self.first_id}-{end}/{self.to_time}"


@dataclass(frozen=True, slots=True)
class History:
    """Past candles for the strategies to warm up on, oldest first, in columns of one length.

    Attributes:
        instrument: Whose candles.
        interval: Length of each, milliseconds: the base interval.
        time: End of each interval, milliseconds since the epoch UTC.
        open, high, low, close: Prices in the quote currency.
        volume: Traded quantity in the base asset.
    """

    TYPE: ClassVar[str] = "history"
    instrument: str
    interval: int
    time: tuple[int, ...]
    open: tuple[Decimal, ...]
    high: tuple[Decimal, ...]
    low: tuple[Decimal, ...]
    close: tuple[Decimal, ...]
    volume: tuple[Decimal, ...]

    def __post_init__(self) -> None:
        checks.key("instrument", self.instrument)
        checks.interval("interval", self.interval)
        prices = (self.open, self.high, self.low, self.close)
        checks.same_length("history", (self.time, *prices, self.volume))
        for column in prices:
            checks.prices("price", column)
        checks.sizes("volume", self.volume)
        for moment in bounds(self.time):
            checks.time("time", moment)
        if any(after <= before for before, after in zip(self.time, self.time[1:], strict=False)):
            raise checks.refuse("time", self.time[:5], "times that rise")

    def name(self) -> str:
        """Return the identity."""
        return f"history/{self.instrument}/{self.time[-1]}"


@dataclass(frozen=True, slots=True)
class Filters:
    """The exchange's rules for orders on an instrument; 0 means no rule.

    Attributes:
        tick_size: Prices are multiples of it.
        lot_size: Quantities are multiples of it.
        minimum_quantity: The smallest order, in the base asset.
        minimum_notional: The smallest order, in the quote currency.
    """

    tick_size: Decimal
    lot_size: Decimal
    minimum_quantity: Decimal
    minimum_notional: Decimal

    def __post_init__(self) -> None:
        for name in ("tick_size", "lot_size", "minimum_quantity", "minimum_notional"):
            checks.sizes(f"filters.{name}", (getattr(self, name),))


@dataclass(frozen=True, slots=True)
class Epoch:
    """The rules of one account on one instrument from here on.

    Attributes:
        instrument: The instrument in whose flow it travels.
        account: The account's whole configuration.
        number: Counts the configurations of the account, from 1.
        filters: The exchange's rules for this instrument.
        base: Name of the base asset.
        interval: The installation's base interval, milliseconds.
        version: Version of the code that decides.
    """

    TYPE: ClassVar[str] = "epoch"
    instrument: str
    account: Account
    number: int
    filters: Filters
    base: str
    interval: int
    version: int

    def __post_init__(self) -> None:
        checks.key("instrument", self.instrument)
        checks.key("base", self.base)
        checks.interval("interval", self.interval)
        checks.ordinal("number", self.number)
        checks.count("version", self.version)
        if self.account.execution.latency >= self.interval:
            raise checks.refuse(
                "execution.latency", self.account.execution.latency, "less than the interval"
            )

    def name(self) -> str:
        """Return the identity."""
        return f"epoch/{self.instrument}/{self.account.name}/{self.number}"


@dataclass(frozen=True, slots=True)
class Join:
    """An instrument takes part in an account's decisions from a decision time on.

    Attributes:
        instrument: The instrument.
        account: The account's name.
        epoch: The account's configuration that named it.
        time: The first decision time, milliseconds since the epoch UTC.
        next_id: The id of the first trade that is published.
        series: Which numbering the ids follow.
    """

    TYPE: ClassVar[str] = "join"
    instrument: str
    account: str
    epoch: int
    time: int
    next_id: int
    series: Series

    def __post_init__(self) -> None:
        checks.key("instrument", self.instrument)
        checks.key("account", self.account)
        checks.count("epoch", self.epoch)
        checks.time("time", self.time)
        checks.count("next_id", self.next_id)

    def name(self) -> str:
        """Return the identity."""
        return f"join/{self.instrument}/{self.account}/{self.epoch}"


@dataclass(frozen=True, slots=True)
class Leave:
    """An instrument takes no part in an account's decisions from a decision time on.

    Attributes:
        instrument: The instrument.
        account: The account's name.
        epoch: The account's configuration that left it out.
        time: The first decision time without it, milliseconds since the epoch UTC.
        reason: Why: removed from the configuration, or delisted.
    """

    TYPE: ClassVar[str] = "leave"
    instrument: str
    account: str
    epoch: int
    time: int
    reason: str

    def __post_init__(self) -> None:
        checks.key("instrument", self.instrument)
        checks.key("account", self.account)
        checks.count("epoch", self.epoch)
        checks.time("time", self.time)
        checks.text("reason", self.reason)

    def name(self) -> str:
        """Return the identity."""
        return f"leave/{self.instrument}/{self.account}/{self.epoch}"


@dataclass(frozen=True, slots=True)
class Listing:
    """What the market data stage is to feed for one instrument: the record of `instruments`.

    Attributes:
        instrument: The instrument.
        accounts: Every account that trades it, as configured now; none: stop feeding it.
        numbers: The number of each account's configuration, in the same order.
        interval: The base interval, milliseconds.
        retired: The last number of each account that traded it and no longer does, so that one
            that comes back goes on counting.
    """

    TYPE: ClassVar[str] = "listing"
    instrument: str
    accounts: tuple[Account, ...]
    numbers: tuple[int, ...]
    interval: int
    retired: dict[str, int]

    def __post_init__(self) -> None:
        checks.key("instrument", self.instrument)
        checks.interval("interval", self.interval)
        for name, number in self.retired.items():
            checks.key("retired", name)
            checks.count("retired", number)
        if len(self.accounts) != len(self.numbers):
            raise checks.refuse("numbers", self.numbers, "one for each account")
        for number in self.numbers:
            checks.ordinal("numbers", number)

    def name(self) -> str:
        """Return the identity: the configurations it names."""
        numbers = ",".join(
            f"{account.name}.{number}"
            for account, number in zip(self.accounts, self.numbers, strict=True)
        )
        return f"listing/{self.instrument}/{numbers}"
