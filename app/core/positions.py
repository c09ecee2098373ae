"""The arithmetic of the books: a holding and a fill enter, the new holding and its worth leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from app.core.decimals import ZERO, add, divide, multiply, plain, subtract, total
from app.core.events import Fill, Holding, Side

COST_QUANTUM = Decimal("1e-12")
"""What the split between realised and unrealised profit is rounded to; their sum never is."""


class UnpricedError(RuntimeError):
    """An open position had no price: its worth can't be told."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What some holdings have earned and are worth, quote currency.

    Attributes:
        value: Quantities at their marks.
        realised: Profit booked by closing, before fees.
        unrealised: `value` less the cost of what is open.
        fees: Fees paid.
    """

    value: Decimal
    realised: Decimal
    unrealised: Decimal
    fees: Decimal

    @property
    def profit(self) -> Decimal:
        """Realised plus unrealised less fees."""
        return subtract(add(self.realised, self.unrealised), self.fees)


def empty_holding(strategy: str, instrument: str) -> Holding:
    """Return the holding of a strategy that never held the instrument."""
    return Holding(strategy, instrument, ZERO, ZERO, ZERO, ZERO)


def signed(side: Side, quantity: Decimal) -> Decimal:
    """Return a traded quantity as the change of the position: below zero for a sale."""
    return quantity if side is Side.BUY else quantity.copy_negate()


def closing_part(position: Decimal, change: Decimal) -> Decimal:
    """Return the part of a change that brings a position toward zero, signed as the change."""
    if not position or not change or (position > 0) == (change > 0):
        return ZERO
    return change if change.copy_abs() <= position.copy_abs() else position.copy_negate()


def cash_change(fill: Fill) -> Decimal:
    """Return what a fill adds to cash: the proceeds of a sale or less a purchase, less the fee."""
    paid = multiply(signed(fill.side, fill.quantity), fill.price)
    return subtract(paid.copy_negate(), fill.fee)


def apply_fills(holding: Holding, fills: Iterable[Fill]) -> Holding:
    """Return the holding after fills of its own strategy and instrument, in their order.

    What closing removes from the cost goes into realised, so `realised - cost` changes by exactly
    the traded value and the rounding of the split cancels.
    """
    quantity, cost = holding.quantity, holding.cost
    realised, fees = holding.realised, holding.fees
    for fill in fills:
        change = signed(fill.side, fill.quantity)
        opened = change
        if closed := closing_part(quantity, change):
            opened = subtract(change, closed)
            removed = _cost_of(quantity, cost, closed)
            cost = subtract(cost, removed)
            realised = subtract(subtract(realised, multiply(closed, fill.price)), removed)
        cost = add(cost, multiply(opened, fill.price))
        quantity = add(quantity, change)
        fees = add(fees, fill.fee)
    return Holding(holding.strategy, holding.instrument, quantity, cost, realised, fees)


def average_cost(holding: Holding) -> Decimal | None:
    """Return the average price of what is open, rounded half-even at 1e-12; none when flat."""
    return divide(holding.cost, holding.quantity, COST_QUANTUM) if holding.quantity else None


def value(holding: Holding, prices: Mapping[str, Decimal]) -> Decimal:
    """Return quantity * mark, quote currency; raises UnpricedError if open without a price."""
    if not holding.quantity:
        return ZERO
    if holding.instrument not in prices:
        raise UnpricedError(
            f"{holding.strategy} held {plain(holding.quantity)} of {holding.instrument}, which "
            f"has no price yet: its fills came before its first candle. Run `lockstep verify`."
        )
    return multiply(holding.quantity, prices[holding.instrument])


def totals(holdings: Iterable[Holding], prices: Mapping[str, Decimal]) -> Totals:
    """Return the sums over holdings, at marks by instrument: of a strategy, or of an account."""
    chosen = tuple(holdings)
    worth = total([value(holding, prices) for holding in chosen])
    return Totals(
        value=worth,
        realised=total([holding.realised for holding in chosen]),
        unrealised=subtract(worth, total([holding.cost for holding in chosen])),
        fees=total([holding.fees for holding in chosen]),
    )


def quantities(pairs: Iterable[tuple[str, Decimal]]) -> dict[str, Decimal]:
    """Return the account's position by instrument: the sum over its strategies, sorted."""
    sums: dict[str, Decimal] = {}
    for instrument, quantity in sorted(pairs):
        sums[instrument] = add(sums.get(instrument, ZERO), quantity)
    return sums


def equity(cash: Decimal, holdings: Iterable[Holding], prices: Mapping[str, Decimal]) -> Decimal:
    """Return cash plus every holding at its mark, exact."""
    return add(cash, totals(holdings, prices).value)


def _cost_of(quantity: Decimal, cost: Decimal, closed: Decimal) -> Decimal:
    """Return the part of an open quantity's cost that belongs to what of it is closed."""
    if closed.copy_abs() == quantity.copy_abs():
        return cost
    share = multiply(cost, closed.copy_abs())
    return divide(share, quantity.copy_abs(), COST_QUANTUM)
