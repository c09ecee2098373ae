"""What an account decided at one time, in the parent and in a fork, enters; what differs leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from app.core.decimals import plain
from app.core.events import (
    Allocated,
    Halted,
    Holding,
    Orders,
    Output,
    Portfolio,
    Refusal,
    Resumed,
    RiskReport,
    View,
)

Pair = tuple[str, str]
"""A strategy and an instrument."""

Order = tuple[str, str, Decimal, Decimal | None, Decimal | None]
"""Side, kind, quantity, limit price, stop price."""


@dataclass(slots=True)
class Decision:
    """One decision of one account; names, numbers and epochs of records are left out.

    Attributes:
        time: The decision time, milliseconds since the epoch UTC.
        cash: Quote currency, all fills before booked.
        holdings: What is held, by pair; what was never held is left out.
        views: By pair.
        weights: Of the strategies.
        targets: Base asset wanted, by pair.
        orders: By pair.
        told: What risk refused, by pair, with the limit and what was left of it; and what it
            halted or resumed, under no pair.
    """

    time: int
    cash: Decimal
    holdings: dict[Pair, Holding]
    views: dict[Pair, View]
    weights: dict[str, Decimal] = field(default_factory=dict)
    targets: dict[Pair, Decimal] = field(default_factory=dict)
    orders: dict[Pair, Order] = field(default_factory=dict)
    told: dict[Pair, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a fork parts from its parent.

    Attributes:
        account: Whose decision.
        time: The decision time, milliseconds since the epoch UTC.
        what: Which part of it: books, view, weight, target, order or risk.
        strategy, instrument: Whose; empty where the whole account's.
        parent, fork: What it was in each, in words.
        cause: The decision time whose explanation says why: for books that of the fills.
    """

    account: str
    time: int
    what: str
    strategy: str
    instrument: str
    parent: str
    fork: str
    cause: int


class Deciding:
    """Puts the decisions of one account together from its records, as they are made."""

    def __init__(self) -> None:
        self._open: Decision | None = None

    def take(self, output: Output) -> Decision | None:
        """Take a record of the account; return the decision that its risk report ends."""
        record = output.message.record
        if isinstance(record, Portfolio):
            self._open = _opened(record)
        if self._open is None:
            return None
        if isinstance(record, RiskReport):
            done, self._open = self._open, None
            return done
        taker = _TAKERS.get(type(record))
        if taker is not None:
            taker(self._open, record)
        return None


def _opened(record: Portfolio) -> Decision:
    return Decision(
        record.time,
        record.cash,
        {(each.strategy, each.instrument): each for each in record.holdings},
        {(each.strategy, each.instrument): each.view for each in record.opinions},
    )


def _allocated(decision: Decision, record: Allocated) -> None:
    decision.weights = {each.strategy: each.share for each in record.weights}
    decision.targets = {(each.strategy, each.instrument): each.quantity for each in record.targets}


def _orders(decision: Decision, record: Orders) -> None:
    for each in record.orders:
        what = (each.side.value, each.kind.value, each.quantity)
        prices = (each.limit_price, each.stop_price)
        decision.orders[each.strategy, record.instrument] = (*what, *prices)


def _refusal(decision: Decision, record: Refusal) -> None:
    words = f"{plain(record.allowed)} of {plain(record.wanted)} by {record.limit.value}"
    _tell(decision, (record.strategy, record.instrument), words)


def _event(decision: Decision, record: Halted | Resumed) -> None:
    _tell(decision, ("", ""), f"{record.TYPE}: {record.reason}")


def _tell(decision: Decision, pair: Pair, words: str) -> None:
    before = decision.told.get(pair)
    decision.told[pair] = words if before is None else f"{before}; {words}"


_TAKERS: dict[type, Callable[[Decision, Any], None]] = {
    Allocated: _allocated,
    Orders: _orders,
    Refusal: _refusal,
    Halted: _event,
    Resumed: _event,
}


def difference(account: str, parent: Decision, fork: Decision, before: int) -> Difference | None:
    """Return the first part, in the order of the flow, in which two decisions differ.

    Args:
        account: Whose they are.
        parent: As the run had it.
        fork: As the fork has it.
        before: The decision time before.
    """
    for what, (strategy, instrument), one, two in _parts(parent, fork):
        if one != two:
            cause = before if what == "books" else parent.time
            return Difference(
                account, parent.time, what, strategy, instrument, _words(one), _words(two), cause
            )
    return None


def _parts(parent: Decision, fork: Decision) -> Iterator[tuple[str, Pair, Any, Any]]:
    yield from _pairs("books", parent.holdings, fork.holdings)
    yield "books", ("", ""), parent.cash, fork.cash
    yield from _pairs("view", parent.views, fork.views)
    for name in sorted({*parent.weights, *fork.weights}):
        yield "weight", (name, ""), parent.weights.get(name), fork.weights.get(name)
    yield from _pairs("target", parent.targets, fork.targets)
    yield from _pairs("order", parent.orders, fork.orders)
    yield from _pairs("risk", parent.told, fork.told)


def _pairs(
    what: str, one: Mapping[Pair, Any], two: Mapping[Pair, Any]
) -> Iterator[tuple[str, Pair, Any, Any]]:
    for pair in sorted({*one, *two}):
        yield what, pair, one.get(pair), two.get(pair)


def _words(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Holding):
        return f"{plain(value.quantity)} for {plain(value.cost)}, fees {plain(value.fees)}"
    if isinstance(value, tuple):
        side, kind, quantity, *prices = value
        given = "".join(f" at {plain(price)}" for price in prices if price is not None)
        return f"{kind} {side} {plain(quantity)}{given}"
    return str(value)
