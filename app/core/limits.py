"""The risk monitor's limits: what an order would open enters, what may be opened leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from app.core.decimals import (
    EXACT,
    ROUNDED,
    ZERO,
    add,
    ceiling_to,
    divide,
    floor_to,
    multiply,
    plain,
    subtract,
)
from app.core.events import Account, ExecutionModel, Filters, Limit, Mark, Side

QUANTITY_QUANTUM = Decimal("1e-12")
"""What the quantity that a sum of money allows is rounded down to."""

_SHOWN = Decimal("1e-8")
_WHOLE = Decimal(10_000)


@dataclass(frozen=True, slots=True)
class Opening:
    """What the part of one order that opens is checked against; quantities in the base asset.

    Attributes:
        account: The account as configured.
        filters: The exchange's rules for the instrument.
        mark: The instrument's market at this decision time.
        halted: Whether the account is halted.
        side: Buy or sell.
        closing: The part of the same order that closes, already let through.
        position: The account's position in the instrument with every order on this side that was
            let through at this decision time, as if all of them were filled; below zero if short.
        others: The notional of the positions in all other instruments, quote currency.
        cash: What is left of the cash after the buys let through, quote currency.
    """

    account: Account
    filters: Filters
    mark: Mark
    halted: bool
    side: Side
    closing: Decimal
    position: Decimal
    others: Decimal
    cash: Decimal

    @property
    def price(self) -> Decimal:
        """The mark's price; 0 where none is known, which opens nothing."""
        return ZERO if self.mark.price is None else self.mark.price


@dataclass(frozen=True, slots=True)
class Cut:
    """One limit's verdict on a quantity, base asset, both at least 0."""

    limit: Limit
    wanted: Decimal
    allowed: Decimal
    reason: str


Verdict = tuple[Decimal, str]
"""The quantity that a limit allows at most, and the limit in words with its numbers."""

Rule = Callable[[Opening, Decimal], Verdict]


def check(opening: Opening, wanted: Decimal) -> tuple[Decimal, list[Cut]]:
    """Return how much of what is wanted may be opened, and every limit that cut it, in order."""
    allowed = wanted
    cuts: list[Cut] = []
    for limit, rule in LIMITS:
        most, reason = rule(opening, allowed)
        if most < allowed:
            cuts.append(Cut(limit, allowed, most, reason))
            allowed = most
        if not allowed:
            break
    return allowed, cuts


def unit_cost(price: Decimal, filters: Filters, model: ExecutionModel) -> Decimal:
    """Return what buying one unit may cost: the price, moved by slippage, and the taker's fee."""
    moved = multiply(price, EXACT.divide(add(_WHOLE, model.slippage), _WHOLE))
    paid = ceiling_to(moved, filters.tick_size)
    return multiply(paid, EXACT.divide(add(_WHOLE, model.taker_fee), _WHOLE))


def _forbid(*, forbidden: bool, quantity: Decimal, reason: str) -> Verdict:
    return (ZERO if forbidden else quantity), reason


def _not_halted(opening: Opening, quantity: Decimal) -> Verdict:
    reason = "the account was halted, which only a resume command ends"
    return _forbid(forbidden=opening.halted, quantity=quantity, reason=reason)


def _priced(opening: Opening, quantity: Decimal) -> Verdict:
    reason = f"no price of {opening.mark.instrument} was known yet"
    return _forbid(forbidden=opening.mark.price is None, quantity=quantity, reason=reason)


def _complete(opening: Opening, quantity: Decimal) -> Verdict:
    reason = "a gap touched the candle"
    return _forbid(forbidden=not opening.mark.complete, quantity=quantity, reason=reason)


def _fresh(opening: Opening, quantity: Decimal) -> Verdict:
    age, most = opening.mark.age, opening.account.risk.stale_after
    reason = f"the data was {age} ms old when its candle closed and may be {most} ms"
    return _forbid(forbidden=age > most, quantity=quantity, reason=reason)


def _not_short(opening: Opening, quantity: Decimal) -> Verdict:
    # What opens by selling always takes the strategy's own holding below zero.
    short = opening.side is Side.SELL and not opening.account.risk.allow_short
    return _forbid(forbidden=short, quantity=quantity, reason="the account may not go short")


def _order_notional(opening: Opening, quantity: Decimal) -> Verdict:
    most = opening.account.risk.order_notional
    room = subtract(_quantity(most, opening.price), opening.closing)
    reason = (
        f"an order of {plain(add(quantity, opening.closing))} at {plain(opening.price)} was over "
        f"the largest order notional, {plain(most)}"
    )
    return max(room, ZERO), reason


def _position_notional(opening: Opening, quantity: Decimal) -> Verdict:
    most = opening.account.risk.position_notional
    reason = (
        f"{plain(quantity)} more on {plain(opening.position)} at {plain(opening.price)} was over "
        f"the largest position notional, {plain(most)}"
    )
    return _room(opening, most), reason


def _gross_notional(opening: Opening, quantity: Decimal) -> Verdict:
    most = opening.account.risk.gross_notional
    reason = (
        f"{plain(quantity)} more on {plain(opening.position)} at {plain(opening.price)}, beside "
        f"{plain(opening.others)} in other instruments, was over the largest gross notional, "
        f"{plain(most)}"
    )
    return _room(opening, subtract(most, opening.others)), reason


def _cash(opening: Opening, quantity: Decimal) -> Verdict:
    if opening.side is Side.SELL:
        return quantity, ""
    cost = unit_cost(opening.price, opening.filters, opening.account.execution)
    reason = (
        f"{plain(quantity)} at {plain(_shown(cost))} with slippage and fee was over the cash left, "
        f"{plain(opening.cash)}"
    )
    return _quantity(opening.cash, cost), reason


def _lot(opening: Opening, quantity: Decimal) -> Verdict:
    lot = opening.filters.lot_size
    whole = floor_to(add(opening.closing, quantity), lot)
    reason = f"an order must be a multiple of the lot size, {plain(lot)}"
    return max(subtract(whole, opening.closing), ZERO), reason


def _minimum(opening: Opening, quantity: Decimal) -> Verdict:
    size = add(opening.closing, quantity)
    notional = multiply(size, opening.price)
    filters = opening.filters
    reason = (
        f"an order of {plain(size)}, worth {plain(notional)}, was below the smallest quantity, "
        f"{plain(filters.minimum_quantity)}, or notional, {plain(filters.minimum_notional)}"
    )
    small = size < filters.minimum_quantity or notional < filters.minimum_notional
    return _forbid(forbidden=small, quantity=quantity, reason=reason)


LIMITS: tuple[tuple[Limit, Rule], ...] = (
    (Limit.HALTED, _not_halted),
    (Limit.NO_PRICE, _priced),
    (Limit.INCOMPLETE, _complete),
    (Limit.STALE, _fresh),
    (Limit.NO_SHORT, _not_short),
    (Limit.ORDER_NOTIONAL, _order_notional),
    (Limit.POSITION_NOTIONAL, _position_notional),
    (Limit.GROSS_NOTIONAL, _gross_notional),
    (Limit.CASH, _cash),
    (Limit.FILTER, _lot),
    (Limit.FILTER, _minimum),
)
"""Every limit, in the order in which they are asked: refusals, cuts, then the exchange's rules."""


def _quantity(money: Decimal, price: Decimal) -> Decimal:
    """Return the quantity that money buys, rounded down, at least 0."""
    return floor_to(ROUNDED.divide(max(money, ZERO), price), QUANTITY_QUANTUM)


def _room(opening: Opening, most: Decimal) -> Decimal:
    """Return what may be added on the order's side until the position is worth `most`."""
    position = opening.position
    used = position if opening.side is Side.BUY else position.copy_negate()
    return max(subtract(_quantity(most, opening.price), used), ZERO)


def _shown(value: Decimal) -> Decimal:
    return divide(value, Decimal(1), _SHOWN)
