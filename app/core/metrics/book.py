"""An account's portfolios, fills and risk records enter, in causal order; its run leaves, folded.

The fills between two portfolios are booked again in the books' own order, and cash and holdings
must come out as the portfolio says: a record that is missing is found here and not in a figure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from app.core.decimals import ZERO, add, multiply, plain, subtract
from app.core.events import (
    Account,
    Booked,
    Epoch,
    Fill,
    Filters,
    Halted,
    Holding,
    Limit,
    OrderKind,
    Orders,
    Portfolio,
    Refusal,
    Resumed,
    Side,
)
from app.core.metrics.curves import Curves
from app.core.metrics.hold import BuyAndHold
from app.core.metrics.marks import FillMarks
from app.core.metrics.trips import Trip, TripBook
from app.core.positions import apply_fills, cash_change, empty_holding

Pair = tuple[str, str]
"""Strategy and instrument."""


class RunRecordsError(ValueError):
    """The records of a run were not whole, or not in causal order; the sentence says which."""


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order as risk let it through, at its decision time (milliseconds since the epoch UTC)."""

    time: int
    instrument: str
    strategy: str
    side: Side
    kind: OrderKind
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None


@dataclass(slots=True)
class Refused:
    """How often a limit refused an order whole, and how often it cut one.

    Attributes:
        example: The reason of the first, with its numbers.
    """

    limit: Limit
    refused: int = 0
    cut: int = 0
    example: str = ""


@dataclass(slots=True)
class Traded:
    """What one strategy traded in one instrument.

    Attributes:
        fills: How many fills the books took.
        notional: Sum of quantity * price over them, quote currency, exact.
    """

    fills: int = 0
    notional: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Start:
    """An account at the run's first decision time, quote currency.

    Attributes:
        equity: What every figure counts from: the capital, where the run is whole.
        holdings: As they were.
        worth: By holding, quantity at the mark.
    """

    equity: Decimal
    holdings: dict[Pair, Holding]
    worth: dict[Pair, Decimal]

    def profit(self, pair: Pair) -> Decimal:
        """Return what a holding had made by then: realised + unrealised - fees."""
        holding = self.holdings.get(pair)
        if holding is None:
            return ZERO
        kept = subtract(subtract(holding.realised, holding.fees), holding.cost)
        return add(kept, self.worth[pair])


@dataclass(slots=True)
class Counts:
    """How many records of an account there were.

    Attributes:
        orders: Orders let through.
        filled, partial, unfilled: What became of those whose life has ended.
        halted: Decision times at which it was halted.
    """

    orders: int = 0
    filled: int = 0
    partial: int = 0
    unfilled: int = 0
    halted: int = 0


@dataclass(slots=True)
class AccountRecords:
    """One account's run as far as it was fed.

    Attributes:
        name: The account.
        epochs: Its configurations by number, one record of each.
        filters: The exchange's rules by instrument.
        start: None before the first portfolio.
        last: The last portfolio.
        prices: The last known mark of each instrument.
        holdings: By strategy and instrument, as the last portfolio has them.
        trips: The closed round trips, in the order they closed; about 0.7 kB each.
        books: The open ones, by strategy and instrument.
        traded: By strategy and instrument.
        pending: Fills that no portfolio has booked yet.
        orders: Every order, in causal order; about 0.3 kB each.
        refused: By limit.
        halts: Every halt and resume.
        marks: Fills by instrument, to be drawn.
    """

    name: str
    epochs: dict[int, Epoch] = field(default_factory=dict)
    filters: dict[str, Filters] = field(default_factory=dict)
    start: Start | None = None
    last: Portfolio | None = None
    prices: dict[str, Decimal] = field(default_factory=dict)
    holdings: dict[Pair, Holding] = field(default_factory=dict)
    trips: list[Trip] = field(default_factory=list)
    books: dict[Pair, TripBook] = field(default_factory=dict)
    traded: dict[Pair, Traded] = field(default_factory=dict)
    pending: list[Fill] = field(default_factory=list)
    orders: list[PlacedOrder] = field(default_factory=list)
    refused: dict[Limit, Refused] = field(default_factory=dict)
    halts: list[Halted | Resumed] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    curves: Curves = field(default_factory=Curves)
    marks: dict[str, FillMarks] = field(default_factory=dict)
    benchmark: BuyAndHold | None = None
    _cash: Decimal = ZERO
    _floats: dict[str, float] = field(default_factory=dict)

    def configuration(self) -> Account:
        """Return the account as first configured."""
        return self.epochs[min(self.epochs)].account

    def epoch(self, epoch: Epoch) -> None:
        """Take a configuration; each instrument's flow carries it, one is enough."""
        self.epochs.setdefault(epoch.number, epoch)
        self.filters[epoch.instrument] = epoch.filters
        names = [setting.name for setting in epoch.account.strategies]
        self.curves.know(names, epoch.account.instruments)

    def portfolio(self, portfolio: Portfolio) -> None:
        """Take the account at the next decision time; raises RunRecordsError."""
        for mark in portfolio.marks:
            if mark.price is not None:
                self.prices[mark.instrument] = mark.price
                self._floats[mark.instrument] = float(mark.price)
        if self.start is None:
            self._begin(portfolio)
        else:
            self._follow(portfolio)
        self.last = portfolio
        self._mark()
        benchmark = 0.0 if self.benchmark is None else self.benchmark.value(self._floats)
        self.curves.add(portfolio.time, float(portfolio.equity), benchmark, self._floats)

    def fill(self, fill: Fill) -> None:
        """Take a fill; it counts once a portfolio has booked it."""
        self.pending.append(fill)

    def place(self, orders: Orders) -> None:
        """Take the orders of a decision time."""
        self.counts.orders += len(orders.orders)
        self.orders += [
            PlacedOrder(
                orders.time,
                orders.instrument,
                each.strategy,
                each.side,
                each.kind,
                each.quantity,
                each.limit_price,
                each.stop_price,
            )
            for each in orders.orders
        ]

    def booked(self, booked: Booked) -> None:
        """Take what became of orders."""
        for outcome in booked.outcomes:
            if not outcome.cancelled:
                self.counts.filled += 1
            elif outcome.filled:
                self.counts.partial += 1
            else:
                self.counts.unfilled += 1

    def refuse(self, refusal: Refusal) -> None:
        """Take what risk did not let through."""
        refused = self.refused.setdefault(refusal.limit, Refused(refusal.limit))
        refused.example = refused.example or refusal.reason
        if refusal.allowed:
            refused.cut += 1
        else:
            refused.refused += 1

    def _begin(self, portfolio: Portfolio) -> None:
        if portfolio.epoch not in self.epochs:
            raise RunRecordsError(
                f"the first portfolio of {self.name} named configuration {portfolio.epoch}, which "
                f"was not among the records: feed its epoch records before it."
            )
        self.pending.clear()  # booked in this portfolio already
        self._cash = portfolio.cash
        self.holdings = {(one.strategy, one.instrument): one for one in portfolio.holdings}
        worth = {pair: self._worth(one) for pair, one in self.holdings.items()}
        self.start = Start(portfolio.equity, dict(self.holdings), worth)
        for pair, holding in self.holdings.items():
            self.curves.hold(holding, self.start.profit(pair))
            if holding.quantity:
                book = self.books[pair] = TripBook(*pair)
                book.carry(holding.quantity, self.prices[holding.instrument], portfolio.time)
        account = self.epochs[portfolio.epoch].account
        fee = float(account.execution.taker_fee)
        self.benchmark = BuyAndHold(float(portfolio.equity), account.instruments, fee)

    def _worth(self, holding: Holding) -> Decimal:
        if not holding.quantity:
            return ZERO
        if holding.instrument not in self.prices:
            raise RunRecordsError(
                f"{self.name} held {holding.instrument}, which had left it before the run and so "
                f"has no mark: start from an earlier decision time."
            )
        return multiply(holding.quantity, self.prices[holding.instrument])

    def _follow(self, portfolio: Portfolio) -> None:
        if self.last is not None and portfolio.time <= self.last.time:
            raise RunRecordsError(
                f"the portfolio of {self.name} at {portfolio.time} came after that at "
                f"{self.last.time}: feed each record once, in the order of its topic."
            )
        changed = self._book()
        if portfolio.cash != self._cash or (changed and not self._agrees(portfolio.holdings)):
            raise RunRecordsError(
                f"the portfolio of {self.name} at {portfolio.time} has cash "
                f"{plain(portfolio.cash)}, the fills fed before it make {plain(self._cash)}: feed "
                f"all records, each after the one that caused it."
            )

    def _book(self) -> bool:
        """Book the pending fills in the order of the books; tell whether there were any."""
        fills = sorted(self.pending, key=lambda f: (f.time, f.instrument, f.order_id, f.part))
        self.pending.clear()
        for fill in fills:
            self._book_fill(fill)
        return bool(fills)

    def _book_fill(self, fill: Fill) -> None:
        pair = (fill.strategy, fill.instrument)
        holding = apply_fills(self.holdings.get(pair) or empty_holding(*pair), [fill])
        self.holdings[pair] = holding
        self._cash = add(self._cash, cash_change(fill))
        before = ZERO if self.start is None else self.start.profit(pair)
        self.curves.hold(holding, before)
        trip = self.books.setdefault(pair, TripBook(*pair)).fill(fill)
        if trip is not None:
            self.trips.append(trip)
        traded = self.traded.setdefault(pair, Traded())
        traded.fills += 1
        traded.notional = add(traded.notional, multiply(fill.quantity, fill.price))
        self.marks.setdefault(fill.instrument, FillMarks()).take(fill)

    def _agrees(self, holdings: Iterable[Holding]) -> bool:
        return {(one.strategy, one.instrument): one for one in holdings} == self.holdings

    def _mark(self) -> None:
        for (_, instrument), book in self.books.items():
            if book.open is not None:
                book.open.mark(self.prices[instrument])
