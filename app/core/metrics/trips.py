"""Fills of one strategy in one instrument enter; round trips with exact profits leave.

A round trip opens when the strategy's position in the instrument leaves zero and closes when it
returns to zero or crosses it; a fill that crosses is split there. Its profit is what its fills
added to cash, fees taken off, so that no rounding enters: all trips together have made exactly
what the equity gained.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from app.core.decimals import ZERO, add, divide, multiply, subtract
from app.core.events import Fill
from app.core.positions import COST_QUANTUM, closing_part, signed


class Direction(StrEnum):
    """Which way a position gains."""

    LONG = "long"
    SHORT = "short"


@dataclass(frozen=True, slots=True)
class Trip:
    """One round trip, closed or still open; money in the quote currency.

    Attributes:
        strategy: Whose.
        instrument: In what.
        direction: Long or short.
        entry_time: Of its first fill, milliseconds since the epoch UTC.
        exit_time: Of its last fill; none while it is open.
        quantity: The largest it held, base asset.
        entry_price: Average of the fills that opened, rounded half-even at 1e-12.
        exit_price: Average of the fills that closed, rounded likewise; none while none did.
        fees: Fees of its fills; of one that crossed zero its share, rounded half-even at 1e-12,
            the rest goes to the next trip.
        profit: What it added to cash less its fees, and what is open at the last mark. Exact.
        worst: The lowest profit at any decision time or at its end, at most 0: MAE.
        best: The highest, at least 0: MFE.
        fills: How many fills it took.
        carried: Whether it was open before the run's first decision time; then it counts from
            there on, entered at the mark.
    """

    strategy: str
    instrument: str
    direction: Direction
    entry_time: int
    exit_time: int | None
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal | None
    fees: Decimal
    profit: Decimal
    worst: Decimal
    best: Decimal
    fills: int
    carried: bool

    @property
    def invested(self) -> Decimal:
        """The largest quantity at the entry price, quote currency."""
        return multiply(self.quantity, self.entry_price)


@dataclass(slots=True)
class OpenTrip:
    """A trip as it grows.

    Attributes:
        position: Base asset; below zero for a short one.
        flow: What its fills added to cash so far, fees taken off.
        opened, closed: Quantity and traded value of the fills that opened and that closed.
        high, low: The marks' range since the position last changed; between two fills the profit
            is linear in the mark, so its range is at these two.
    """

    strategy: str
    instrument: str
    entry_time: int
    carried: bool
    long: bool
    position: Decimal = ZERO
    largest: Decimal = ZERO
    flow: Decimal = ZERO
    fees: Decimal = ZERO
    opened: tuple[Decimal, Decimal] = (ZERO, ZERO)
    closed: tuple[Decimal, Decimal] = (ZERO, ZERO)
    worst: Decimal = ZERO
    best: Decimal = ZERO
    high: Decimal | None = None
    low: Decimal | None = None
    fills: int = 0
    last_time: int = 0

    def trade(self, change: Decimal, price: Decimal, fee: Decimal, time: int) -> None:
        """Take a fill, or the part of one that belongs to this trip."""
        self._settle()
        paid = multiply(change, price)
        sums = (change.copy_abs(), paid.copy_abs())
        if (change > 0) is self.long:
            self.opened = _plus(self.opened, sums)
        else:
            self.closed = _plus(self.closed, sums)
        self.position = add(self.position, change)
        self.largest = max(self.largest, self.position.copy_abs())
        self.flow = subtract(self.flow, add(paid, fee))
        self.fees = add(self.fees, fee)
        self.last_time = time

    def mark(self, price: Decimal) -> None:
        """Take the mark of a decision time."""
        if self.high is None or self.low is None:
            self.high = self.low = price
        elif price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price

    def value(self, price: Decimal) -> Decimal:
        """Return the profit if what is open were worth this price."""
        return add(self.flow, multiply(self.position, price))

    def trip(self, price: Decimal | None) -> Trip:
        """Return the trip as it stands; `price` is the last mark, needed while it is open."""
        self._settle()
        profit = self.flow if price is None else self.value(price)
        return Trip(
            strategy=self.strategy,
            instrument=self.instrument,
            direction=Direction.LONG if self.long else Direction.SHORT,
            entry_time=self.entry_time,
            exit_time=None if self.position else self.last_time,
            quantity=self.largest,
            entry_price=divide(self.opened[1], self.opened[0], COST_QUANTUM),
            exit_price=divide(self.closed[1], self.closed[0], COST_QUANTUM)
            if self.closed[0]
            else None,
            fees=self.fees,
            profit=profit,
            worst=min(self.worst, profit),
            best=max(self.best, profit),
            fills=self.fills,
            carried=self.carried,
        )

    def _settle(self) -> None:
        """Bring the range of marks into worst and best before the position changes."""
        for price in (self.high, self.low):
            if price is not None:
                profit = self.value(price)
                self.worst, self.best = min(self.worst, profit), max(self.best, profit)
        self.high = self.low = None


class TripBook:
    """The trips of one strategy in one instrument.

    Attributes:
        open: The trip that is open; none while flat.
    """

    def __init__(self, strategy: str, instrument: str) -> None:
        self.open: OpenTrip | None = None
        self._strategy = strategy
        self._instrument = instrument

    def carry(self, quantity: Decimal, price: Decimal, time: int) -> None:
        """Open with what was held at a run's first decision time, entered at its mark."""
        self.open = self._new(quantity > 0, time, carried=True)
        self.open.trade(quantity, price, ZERO, time)

    def fill(self, fill: Fill) -> Trip | None:
        """Take a fill, in the order of the books; return the trip it closed."""
        change = signed(fill.side, fill.quantity)
        position = self.open.position if self.open else ZERO
        closing = closing_part(position, change)
        opening = subtract(change, closing)
        fee = _share(fill.fee, closing, change)
        closed = self._close(closing, fill, fee) if closing else None
        if opening:
            self._grow(opening, fill, subtract(fill.fee, fee))
        return closed

    def _close(self, change: Decimal, fill: Fill, fee: Decimal) -> Trip | None:
        trip = self.open
        if trip is None:
            return None
        trip.trade(change, fill.price, fee, fill.time)
        trip.fills += 1
        if trip.position:
            return None
        self.open = None
        return trip.trip(None)

    def _grow(self, change: Decimal, fill: Fill, fee: Decimal) -> None:
        if self.open is None:
            self.open = self._new(change > 0, fill.time, carried=False)
        self.open.trade(change, fill.price, fee, fill.time)
        self.open.fills += 1

    def _new(self, long: bool, time: int, *, carried: bool) -> OpenTrip:  # noqa: FBT001 - one of two
        return OpenTrip(self._strategy, self._instrument, time, carried, long)


def _share(fee: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Return the part of a fee that a part of a fill bears."""
    if part == whole:
        return fee
    return divide(multiply(fee, part), whole, COST_QUANTUM) if part else ZERO


def _plus(
    first: tuple[Decimal, Decimal], second: tuple[Decimal, Decimal]
) -> tuple[Decimal, Decimal]:
    return add(first[0], second[0]), add(first[1], second[1])
