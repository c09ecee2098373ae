"""What execution reports to an account enters, by instrument; what it changes in the books leaves.

The sums of an instrument's fills are made as soon as its `booked` is there, which is before the
signals are: a decision that waits for both need not wait for them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from app.core.decimals import ZERO, add
from app.core.events import Booked, Fill, Holding, Inbound
from app.core.positions import apply_fills, cash_change, empty_holding
from app.core.roster import Pair

Holdings = Mapping[Pair, Holding]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an instrument's fills, up to a `booked`, change in the books.

    Attributes:
        through: Up to when they were asked for, milliseconds since the epoch UTC.
        records: How many records they and their `booked` are.
        cash: What they add to it, quote currency.
        holdings: Those they changed, as they are then.
    """

    through: int
    records: int
    cash: Decimal
    holdings: dict[Pair, Holding]


class Bookings:
    """Fills and `booked` of every instrument, until the books have taken them; memory only."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Inbound]] = {}
        self._newest: dict[str, Booked] = {}
        self._settled: dict[str, Settlement] = {}

    def file(self, instrument: str, inbound: Inbound) -> None:
        """Keep a fill or a `booked`, the next of its instrument."""
        self._queues.setdefault(instrument, deque()).append(inbound)
        if isinstance(booked := inbound.record, Booked):
            self._newest[instrument] = booked

    def has(self, instrument: str, through: int) -> bool:
        """Return whether all of an instrument's fills through a time are here."""
        booked = self._newest.get(instrument)
        return booked is not None and _reaches(booked, through)

    def prepare(self, instrument: str, through: int, holdings: Holdings) -> None:
        """Make ready, where it can be, what `take` will be asked for with the same words."""
        ready = self._settled.get(instrument)
        if self.has(instrument, through) and (ready is None or ready.through != through):
            self._settled[instrument] = self._settle(instrument, through, holdings)

    def take(
        self, instrument: str, through: int, holdings: Holdings
    ) -> tuple[Settlement, list[Inbound]]:
        """Return what the fills through a time change, and their records, which are gone from here.

        Args:
            instrument: One whose fills through that time are here.
            through: The time, milliseconds since the epoch UTC.
            holdings: The books; of this instrument as they were when it was prepared.
        """
        settlement = self._settled.pop(instrument, None)
        if settlement is None or settlement.through != through:
            settlement = self._settle(instrument, through, holdings)
        return settlement, self._pop(instrument, settlement.records)

    def take_idle(self, instrument: str, time: int) -> list[Inbound]:
        """Return each next `booked` up to a time, of an instrument nobody had orders for."""
        count = 0
        for inbound in self._queues.get(instrument, ()):
            if not (isinstance(booked := inbound.record, Booked) and booked.time <= time):
                break
            count += 1
        return self._pop(instrument, count)

    def instruments(self) -> tuple[str, ...]:
        """Return whose records have ever been here."""
        return tuple(self._queues)

    def _settle(self, instrument: str, through: int, holdings: Holdings) -> Settlement:
        cash, count = ZERO, 0
        fills: dict[Pair, list[Fill]] = {}
        for count, inbound in enumerate(self._queues[instrument], start=1):  # noqa: B007
            record = inbound.record
            if isinstance(record, Fill):
                fills.setdefault((record.strategy, record.instrument), []).append(record)
                cash = add(cash, cash_change(record))
            elif isinstance(record, Booked) and _reaches(record, through):
                break
        changed = {
            pair: apply_fills(holdings.get(pair) or empty_holding(*pair), sorted(of, key=_order))
            for pair, of in fills.items()
        }
        return Settlement(through, count, cash, changed)

    def _pop(self, instrument: str, count: int) -> list[Inbound]:
        queue = self._queues.get(instrument, deque())
        taken = [queue.popleft() for _ in range(count)]
        if taken and self._newest.get(instrument) is taken[-1].record:
            del self._newest[instrument]
        return taken


def _order(fill: Fill) -> tuple[int, str, int]:
    """Return the key of the order in which the fills of one holding are booked."""
    return fill.time, fill.order_id, fill.part


def _reaches(booked: Booked, time: int) -> bool:
    return booked.final or booked.time >= time
