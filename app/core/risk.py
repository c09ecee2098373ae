"""The risk monitor's stage: targets enter, the orders that may lead there leave, with reports."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from app.core.clearance import Clearance, gross_notional
from app.core.events import Allocated, Epoch, Inbound, Orders, Output, Record, RiskReport
from app.core.flow import Inbox, Outbox
from app.core.halts import UNWATCHED, Watch, daily_loss, drawdown, judge
from app.core.rules import Rules, foreign


@dataclass(frozen=True, slots=True)
class RiskState:
    """The durable state of one account's risk monitor.

    Attributes:
        time: The last decision time, milliseconds since the epoch UTC; 0 before the first.
        epochs: The rules in force, by instrument.
        watch: Whether the account is halted, and what its losses are measured from.
        prices: The last known mark of each instrument, quote currency.
        seen: The last number of each sender whose effect is in this state.
        sent: The last number sent to each destination.
    """

    time: int
    epochs: dict[str, Epoch]
    watch: Watch
    prices: dict[str, Decimal]
    seen: dict[str, int]
    sent: dict[str, int]


NEW = RiskState(0, {}, UNWATCHED, {}, {}, {})


class RiskMachine:
    """One account's risk monitor. Every input's whole effect is durable as soon as it is taken.

    At every decision time it sends one `orders` to every instrument that takes part, then to the
    account what was halted or resumed, every refusal, and last the report.

    Attributes:
        revision: Counts the changes of the durable state.
        time: The last decision time, milliseconds since the epoch UTC; 0 before the first.
    """

    def __init__(self, key: str, state: RiskState | None) -> None:
        state = NEW if state is None else state
        self.revision = 0
        self.time = state.time
        self._account = key
        self._inbox = Inbox(state.seen)
        self._outbox = Outbox("risk", key, state.sent)
        self._rules = Rules(state.epochs)
        self._watch = state.watch
        self._prices = dict(state.prices)

    def take(self, inbound: Inbound) -> list[Output]:
        """Take one input; return the orders and reports it causes.

        Raises:
            HoleError: Records were lost before this one.
            ForeignRecordError: The record has no place on `allocations`.
        """
        if not self._inbox.accept(inbound):
            return []
        outputs: list[Output] = []
        match inbound.record:
            case Epoch() as epoch:
                self._rules.adopt(epoch)
            case Allocated() as allocated:
                outputs = self._decide(allocated, inbound.message.name)
            case _:
                raise foreign(inbound)
        self._inbox.absorb(inbound)
        self.revision += 1
        return outputs

    def durable(self) -> RiskState:
        """Return the durable state."""
        return RiskState(
            time=self.time,
            epochs=dict(self._rules.epochs),
            watch=self._watch,
            prices=dict(sorted(self._prices.items())),
            seen=dict(self._inbox.seen),
            sent=dict(self._outbox.sent),
        )

    def needs(self) -> dict[str, int]:
        """Return the oldest offset still needed by topic: none, after every input."""
        return self._inbox.holds.oldest()

    def waiting(self) -> str:
        """Return what it waits for: never for anything but input."""
        return ""

    def _decide(self, allocated: Allocated, origin: str) -> list[Output]:
        self.time = allocated.time
        self._prices |= {m.instrument: m.price for m in allocated.marks if m.price is not None}
        self._watch, notices = judge(self._watch, allocated, self._rules.account.risk)
        clearance = Clearance(allocated, self._rules, self._watch, self._prices)
        told: list[Record] = [*notices, *clearance.refusals, self._report(allocated, clearance)]
        return [
            *(
                self._outbox.send(
                    "orders", instrument, self._orders(allocated, clearance, instrument), origin
                )
                for instrument in clearance.orders
            ),
            *(self._outbox.send("risk", self._account, record, origin) for record in told),
        ]

    def _orders(self, allocated: Allocated, clearance: Clearance, instrument: str) -> Orders:
        return Orders(
            account=self._account,
            instrument=instrument,
            time=allocated.time,
            epoch=allocated.epoch,
            orders=tuple(clearance.orders[instrument]),
        )

    def _report(self, allocated: Allocated, clearance: Clearance) -> RiskReport:
        return RiskReport(
            account=self._account,
            time=allocated.time,
            epoch=allocated.epoch,
            equity=allocated.equity,
            day_start=self._watch.day_start,
            peak=self._watch.peak,
            daily_loss=daily_loss(self._watch, allocated.equity),
            drawdown=drawdown(self._watch, allocated.equity),
            gross_notional=gross_notional(allocated, self._prices),
            halted=self._watch.halted,
            orders=sum(len(orders) for orders in clearance.orders.values()),
            refusals=len(clearance.refusals),
        )
