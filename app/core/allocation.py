"""The meta-strategy's stage: portfolios enter, the targets of every strategy leave.

A target is fixed when a strategy's view changes and kept while the view lasts:

    quantity = equity * invested * weight / instruments / price, rounded down to the lot,

below zero for a short view (risk refuses it where the account may not go short), 0 for a flat one.
"Not ready" is no view: what is held stays, and the view before it goes on when it comes back. The
same holds while no price is known. A `flatten` command forgets what was fixed: until its next
change of view a strategy wants nothing of the instrument, so a resume does not buy back at once.
A new configuration sizes the next change of view, not the targets that last.

What no strategy has an opinion on any more is let go where that is possible: a holding of a
strategy that is no longer configured gets the target 0, one of an instrument that has left stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from app.core.decimals import ROUNDED, ZERO, floor_to, multiply
from app.core.events import (
    Action,
    Allocated,
    AllocationMethod,
    Epoch,
    Inbound,
    Opinion,
    Output,
    Performance,
    Portfolio,
    Record,
    Target,
    View,
    Weight,
)
from app.core.flow import Inbox, Outbox
from app.core.performance import performances
from app.core.roster import Pair
from app.core.rules import Rules, foreign
from app.core.weights import Sample, earned, equal_weights, performance_weights, sample

SMALLEST_QUANTITY = Decimal("1e-12")
"""What quantities are rounded down to where the exchange has no lot size."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """A target that lasts as long as the view it was fixed for.

    Attributes:
        strategy: The strategy.
        instrument: The instrument.
        view: The view; "not ready" before there was any.
        quantity: Base asset; below zero to be short.
    """

    strategy: str
    instrument: str
    view: View
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class AllocationState:
    """The durable state of one account's meta-strategy.

    Attributes:
        time: The last decision time, milliseconds since the epoch UTC; 0 before the first.
        epochs: The rules in force, by instrument.
        fixed: The targets that last, sorted by strategy and instrument.
        prices: The last known mark of each instrument, quote currency.
        samples: What was earned over the lookback; empty unless performance is weighed.
        seen: The last number of each sender whose effect is in this state.
        sent: The last number sent to each destination.
    """

    time: int
    epochs: dict[str, Epoch]
    fixed: tuple[Fixed, ...]
    prices: dict[str, Decimal]
    samples: tuple[Sample, ...]
    seen: dict[str, int]
    sent: dict[str, int]


NEW = AllocationState(0, {}, (), {}, (), {}, {})


class AllocationMachine:
    """One account's meta-strategy. Every input's whole effect is durable as soon as it is taken.

    Attributes:
        revision: Counts the changes of the durable state.
        time: The last decision time, milliseconds since the epoch UTC; 0 before the first.
    """

    def __init__(self, key: str, state: AllocationState | None) -> None:
        state = NEW if state is None else state
        self.revision = 0
        self.time = state.time
        self._account = key
        self._inbox = Inbox(state.seen)
        self._outbox = Outbox("allocation", key, state.sent)
        self._rules = Rules(state.epochs)
        self._fixed = {(each.strategy, each.instrument): each for each in state.fixed}
        self._prices = dict(state.prices)
        self._samples = state.samples

    def take(self, inbound: Inbound) -> list[Output]:
        """Take one input; return the epoch passed on, or the targets.

        Raises:
            HoleError: Records were lost before this one.
            ForeignRecordError: The record has no place on `portfolio`.
        """
        if not self._inbox.accept(inbound):
            return []
        record = self._act(inbound)
        self._inbox.absorb(inbound)
        self.revision += 1
        return [self._outbox.send("allocations", self._account, record, inbound.message.name)]

    def durable(self) -> AllocationState:
        """Return the durable state."""
        return AllocationState(
            time=self.time,
            epochs=dict(self._rules.epochs),
            fixed=tuple(fixed for _, fixed in sorted(self._fixed.items())),
            prices=dict(sorted(self._prices.items())),
            samples=self._samples,
            seen=dict(self._inbox.seen),
            sent=dict(self._outbox.sent),
        )

    def needs(self) -> dict[str, int]:
        """Return the oldest offset still needed by topic: none, after every input."""
        return self._inbox.holds.oldest()

    def waiting(self) -> str:
        """Return what it waits for: never for anything but input."""
        return ""

    def _act(self, inbound: Inbound) -> Record:
        match inbound.record:
            case Epoch() as epoch:
                self._rules.adopt(epoch)
                return epoch
            case Portfolio() as portfolio:
                self.time = portfolio.time
                return self._allocate(portfolio, inbound.message.name)
        raise foreign(inbound)

    def _allocate(self, portfolio: Portfolio, name: str) -> Allocated:
        self._prices |= {m.instrument: m.price for m in portfolio.marks if m.price is not None}
        performance = performances(self._rules.strategies, portfolio.holdings, self._prices)
        weights = self._weights(performance)
        if any(each.action is Action.FLATTEN for each in portfolio.instructions):
            self._forget(portfolio)
        return Allocated(
            account=self._account,
            time=portfolio.time,
            epoch=portfolio.epoch,
            equity=portfolio.equity,
            cash=portfolio.cash,
            weights=weights,
            performance=performance,
            targets=self._targets(portfolio, weights, name),
            marks=portfolio.marks,
            instructions=portfolio.instructions,
        )

    def _weights(self, performance: tuple[Performance, ...]) -> tuple[Weight, ...]:
        allocation = self._rules.account.allocation
        if allocation.method is AllocationMethod.EQUAL:
            self._samples = ()
            return equal_weights(self._rules.strategies)
        now = Sample(self.time, {each.strategy: each.profit for each in performance})
        self._samples = sample(self._samples, now, allocation.lookback, self._rules.interval)
        return performance_weights(earned(self._samples, now))

    def _forget(self, portfolio: Portfolio) -> None:
        """Want nothing on the views of now: only a change of view wants something again."""
        for opinion in portfolio.opinions:
            pair = (opinion.strategy, opinion.instrument)
            view = opinion.view if opinion.view is not View.NOT_READY else self._view(pair)
            self._fixed[pair] = Fixed(*pair, view, ZERO)

    def _view(self, pair: Pair) -> View:
        fixed = self._fixed.get(pair)
        return View.NOT_READY if fixed is None else fixed.view

    def _targets(
        self, portfolio: Portfolio, weights: tuple[Weight, ...], name: str
    ) -> tuple[Target, ...]:
        held = {(each.strategy, each.instrument): each.quantity for each in portfolio.holdings}
        shares = {weight.strategy: weight.share for weight in weights}
        targets: dict[Pair, Target] = {}
        for opinion in portfolio.opinions:
            pair = (opinion.strategy, opinion.instrument)
            before = held.get(pair, ZERO)
            self._fix(opinion, multiply(max(portfolio.equity, ZERO), shares[opinion.strategy]))
            targets[pair] = Target(*pair, self._wanted(opinion, before), before, opinion.signal)
        self._keep_configured(portfolio)
        present = {mark.instrument: None for mark in portfolio.marks}
        for pair, quantity in held.items():
            if quantity and pair not in targets:
                wanted = ZERO if pair[1] in present else quantity
                targets[pair] = Target(*pair, wanted, quantity, name)
        return tuple(target for _, target in sorted(targets.items()))

    def _fix(self, opinion: Opinion, capital: Decimal) -> None:
        """Fix the target of a view that has just changed, if it has a view and a price."""
        pair = (opinion.strategy, opinion.instrument)
        if opinion.view in (View.NOT_READY, self._view(pair)):
            return
        if opinion.view is View.FLAT:
            self._fixed[pair] = Fixed(*pair, View.FLAT, ZERO)
        elif opinion.instrument in self._prices:
            size = self._size(opinion.instrument, capital)
            quantity = size if opinion.view is View.LONG else size.copy_negate()
            self._fixed[pair] = Fixed(*pair, opinion.view, quantity)

    def _size(self, instrument: str, capital: Decimal) -> Decimal:
        """Return the quantity of an instrument that a strategy's share of capital buys."""
        account = self._rules.account
        notional = multiply(capital, account.allocation.invested)
        price = multiply(self._prices[instrument], Decimal(len(account.instruments)))
        quantity = floor_to(ROUNDED.divide(notional, price), SMALLEST_QUANTITY)
        return floor_to(quantity, self._rules.filters(instrument).lot_size)

    def _wanted(self, opinion: Opinion, held: Decimal) -> Decimal:
        """Return the target: what was fixed for this very view, otherwise what is held."""
        fixed = self._fixed.get((opinion.strategy, opinion.instrument))
        if fixed is None or opinion.view is not fixed.view:
            return held
        return fixed.quantity

    def _keep_configured(self, portfolio: Portfolio) -> None:
        """Forget the targets of strategies and instruments that no longer take part."""
        opinions = {(each.strategy, each.instrument): None for each in portfolio.opinions}
        self._fixed = {pair: fixed for pair, fixed in self._fixed.items() if pair in opinions}
