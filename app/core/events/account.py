"""An account as configured: what it trades, by which rules, within which limits."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from app.core.events import checks


class AllocationMethod(StrEnum):
    """How the meta-strategy divides capital among strategies."""

    EQUAL = "equal"
    PERFORMANCE = "performance"


@dataclass(frozen=True, slots=True)
class StrategySetting:
    """A strategy of an account.

    Attributes:
        name: The registered name, which is the name of its stage too.
        parameters: Values as text, by parameter name; the strategy types and checks them.
    """

    name: str
    parameters: dict[str, str]

    def __post_init__(self) -> None:
        checks.key("strategy.name", self.name)
        for name, value in self.parameters.items():
            checks.key("strategy.parameters", name)
            checks.text(name, value)


@dataclass(frozen=True, slots=True)
class Allocation:
    """How capital becomes targets.

    Attributes:
        method: How strategies are weighted.
        invested: The share of equity that may be invested at full conviction, 0 to 1.
        lookback: Decision times whose performance is weighed, for the performance method.
    """

    method: AllocationMethod
    invested: Decimal
    lookback: int

    def __post_init__(self) -> None:
        checks.share("allocation.invested", self.invested)
        checks.places("allocation.invested", self.invested, checks.CONFIGURED_PLACES)
        checks.count("allocation.lookback", self.lookback)


@dataclass(frozen=True, slots=True)
class RiskLimits:
    """What the risk monitor holds an account to; money in the account's quote currency.

    Attributes:
        order_notional: The largest order.
        position_notional: The largest position in one instrument.
        gross_notional: The largest sum of all positions' absolute values.
        daily_loss: The loss since 00:00 UTC that halts the account.
        drawdown: The fall from the highest equity, as a share of it, that halts the account.
        stale_after: Milliseconds; data older than this when its candle closed opens nothing.
        allow_short: Whether a position may be below zero.
    """

    order_notional: Decimal
    position_notional: Decimal
    gross_notional: Decimal
    daily_loss: Decimal
    drawdown: Decimal
    stale_after: int
    allow_short: bool

    def __post_init__(self) -> None:
        for name in ("order_notional", "position_notional", "gross_notional", "daily_loss"):
            checks.sizes(f"risk.{name}", (getattr(self, name),))
        checks.share("risk.drawdown", self.drawdown)
        checks.places("risk.drawdown", self.drawdown, checks.CONFIGURED_PLACES)
        checks.count("risk.stale_after", self.stale_after)


@dataclass(frozen=True, slots=True)
class ExecutionModel:
    """How paper orders are filled.

    Attributes:
        latency: Milliseconds from a decision to the first trade that can fill it.
        slippage: Basis points by which a fill's price is moved against the order.
        participation: The largest share of a trade's quantity that one account may take.
        maker_fee: Basis points of the notional for an order that rested.
        taker_fee: Basis points of the notional for an order that did not.
    """

    latency: int
    slippage: Decimal
    participation: Decimal
    maker_fee: Decimal
    taker_fee: Decimal

    def __post_init__(self) -> None:
        if not 1 <= self.latency <= checks.LATEST_TIME:
            raise checks.refuse("execution.latency", self.latency, "at least 1 ms")
        checks.share("execution.participation", self.participation)
        checks.places("execution.participation", self.participation, checks.CONFIGURED_PLACES)
        for name in ("slippage", "maker_fee", "taker_fee"):
            checks.quantity(f"execution.{name}", getattr(self, name))
            if getattr(self, name) >= 10_000:  # noqa: PLR2004 - basis points in a whole
                raise checks.refuse(f"execution.{name}", getattr(self, name), "below 10000")
            checks.places(f"execution.{name}", getattr(self, name), checks.CONFIGURED_PLACES)


@dataclass(frozen=True, slots=True)
class Account:
    """The unit of configuration; several run side by side on the same trades.

    Attributes:
        name: The key of everything the account does.
        quote: The one currency its instruments are quoted in.
        capital: Cash at the start, in the quote currency.
        instruments: What it trades, in the order configured.
        strategies: What it trades them by, in the order configured.
        allocation: How capital becomes targets.
        risk: Its limits.
        execution: How its paper orders are filled.
    """

    name: str
    quote: str
    capital: Decimal
    instruments: tuple[str, ...]
    strategies: tuple[StrategySetting, ...]
    allocation: Allocation
    risk: RiskLimits
    execution: ExecutionModel

    def __post_init__(self) -> None:
        checks.key("account.name", self.name)
        checks.key("account.quote", self.quote)
        checks.sizes("account.capital", (self.capital,))
        for instrument in self.instruments:
            checks.key("account.instruments", instrument)
        for names in (self.instruments, [strategy.name for strategy in self.strategies]):
            if not names or len(names) != len(dict.fromkeys(names)):
                raise checks.refuse("account", names, "a list of different names, at least one")
