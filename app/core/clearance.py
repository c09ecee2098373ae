"""The risk monitor's decision: targets enter, orders held to the limits and refusals leave.

First everything that reduces a position is let through and the cash it takes is set aside, then
what opens one is checked in the order of strategy and instrument. No order is counted on before it
is filled, neither for its proceeds nor for the room it makes. So what opens keeps to the limits at
the marks, whatever part of the orders is filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from app.core.decimals import ZERO, add, floor_to, multiply, plain, subtract, total
from app.core.events import (
    Allocated,
    Limit,
    Order,
    OrderKind,
    Refusal,
    Side,
    Target,
)
from app.core.halts import Watch
from app.core.limits import Cut, Opening, check, unit_cost
from app.core.positions import closing_part, quantities
from app.core.rules import Rules


@dataclass(frozen=True, slots=True)
class Change:
    """The way to a target: what closes and what opens, base asset, both at least 0.

    Attributes:
        target: The target.
        side: Which way it trades.
        closing: The part that brings the strategy's position toward zero.
        opening: The part that goes on from there.
    """

    target: Target
    side: Side
    closing: Decimal
    opening: Decimal


def change_to(target: Target, *, flatten: bool) -> Change:
    """Return the way from what is held to a target, or to nothing."""
    wanted = ZERO if flatten else target.quantity
    change = subtract(wanted, target.held)
    closing = closing_part(target.held, change)
    return Change(
        target,
        Side.BUY if change > 0 else Side.SELL,
        closing.copy_abs(),
        subtract(change, closing).copy_abs(),
    )


def gross_notional(allocated: Allocated, prices: Mapping[str, Decimal]) -> Decimal:
    """Return the sum of the absolute values of the account's positions, quote currency."""
    held = quantities((target.instrument, target.held) for target in allocated.targets)
    return total([_worth(name, quantity, prices) for name, quantity in held.items()])


class Clearance:
    """One decision time's orders in the making.

    Attributes:
        orders: What was let through, by instrument, for each that takes part; by strategy.
        refusals: What was not, in the order decided.
    """

    def __init__(
        self, allocated: Allocated, rules: Rules, watch: Watch, prices: Mapping[str, Decimal]
    ) -> None:
        self.orders: dict[str, list[Order]] = {mark.instrument: [] for mark in allocated.marks}
        self.refusals: list[Refusal] = []
        self._allocated = allocated
        self._rules = rules
        self._watch = watch
        self._prices = prices
        self._marks = {mark.instrument: mark for mark in allocated.marks}
        self._cash = allocated.cash
        held = quantities((target.instrument, target.held) for target in allocated.targets)
        # The position if every buy, or every sale, let through so far were filled and no other.
        self._most = {Side.BUY: dict(held), Side.SELL: dict(held)}
        # What each position may come to, quote currency, and their sum: kept, since to sum anew for
        # each change would take as many steps as there are pairs of instruments.
        self._reaches = {name: self._reach(name) for name in held}
        self._gross = total(list(self._reaches.values()))
        self._decide()

    def _decide(self) -> None:
        changes = [
            change_to(target, flatten=self._watch.flatten)
            for target in self._allocated.targets
            if target.instrument in self._marks
        ]
        for change in changes:
            self._let_through(change, change.closing)
        for change in changes:
            self._clear(change)

    def _let_through(self, change: Change, quantity: Decimal) -> None:
        """Count a quantity as ordered: its cash is taken, its place in the position too."""
        instrument = change.target.instrument
        most = self._most[change.side]
        move = subtract if change.side is Side.SELL else add
        most[instrument] = move(most[instrument], quantity)
        reach = self._reach(instrument)
        self._gross = add(subtract(self._gross, self._reaches[instrument]), reach)
        self._reaches[instrument] = reach
        if change.side is Side.BUY and instrument in self._prices:
            cost = unit_cost(
                self._prices[instrument],
                self._rules.filters(instrument),
                self._rules.account.execution,
            )
            self._cash = subtract(self._cash, multiply(quantity, cost))

    def _clear(self, change: Change) -> None:
        """Check what a change opens and order it together with what it closes."""
        allowed = ZERO
        cuts: list[Cut] = []
        if change.opening:
            allowed, cuts = check(self._opening(change), change.opening)
            self._let_through(change, allowed)
        whole = add(change.closing, allowed)
        lot = self._rules.filters(change.target.instrument).lot_size
        quantity = floor_to(whole, lot)
        if quantity < whole:
            reason = f"what was left to close was no multiple of the lot size, {plain(lot)}"
            cuts.append(Cut(Limit.FILTER, whole, quantity, reason))
        self.refusals += [self._refusal(change, cut) for cut in cuts]
        if quantity:
            self.orders[change.target.instrument].append(self._order(change, quantity))

    def _opening(self, change: Change) -> Opening:
        instrument = change.target.instrument
        return Opening(
            account=self._rules.account,
            filters=self._rules.filters(instrument),
            mark=self._marks[instrument],
            halted=self._watch.halted,
            side=change.side,
            closing=change.closing,
            position=self._most[change.side][instrument],
            others=subtract(self._gross, self._reaches[instrument]),
            cash=self._cash,
        )

    def _reach(self, instrument: str) -> Decimal:
        """Return what a position may come to, whichever of its orders are filled."""
        bought, sold = (self._most[side][instrument] for side in (Side.BUY, Side.SELL))
        return max(_worth(instrument, bought, self._prices), _worth(instrument, sold, self._prices))

    def _order(self, change: Change, quantity: Decimal) -> Order:
        target = change.target
        account, time = self._allocated.account, self._allocated.time
        return Order(
            order_id=f"{account}/{target.instrument}/{target.strategy}/{time}",
            strategy=target.strategy,
            side=change.side,
            kind=OrderKind.MARKET,
            quantity=quantity,
            limit_price=None,
            stop_price=None,
            signal=target.signal,
        )

    def _refusal(self, change: Change, cut: Cut) -> Refusal:
        sell = change.side is Side.SELL
        return Refusal(
            account=self._allocated.account,
            instrument=change.target.instrument,
            strategy=change.target.strategy,
            time=self._allocated.time,
            epoch=self._allocated.epoch,
            limit=cut.limit,
            wanted=cut.wanted.copy_negate() if sell else cut.wanted,
            allowed=cut.allowed.copy_negate() if sell else cut.allowed,
            reason=cut.reason,
            signal=change.target.signal,
        )


def _worth(instrument: str, quantity: Decimal, prices: Mapping[str, Decimal]) -> Decimal:
    return multiply(quantity.copy_abs(), prices[instrument]) if quantity else ZERO
