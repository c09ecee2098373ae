"""Messages of a run enter; what a person should see of it now leaves, as numbers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

from app.core.decimals import ZERO, total
from app.core.events import (
    Candle,
    Fill,
    Holding,
    Message,
    Orders,
    Portfolio,
    Refusal,
    Signal,
)

NEWEST_FILLS = 6


@dataclass(slots=True)
class AccountPicture:
    """What one account looks like.

    Attributes:
        time: Its newest decision time, milliseconds since the epoch UTC; 0 before the first.
        equity: Quote currency.
        start: The first equity seen.
        cash: Quote currency.
        holdings: What it holds.
        orders, fills, refusals: How many there were.
    """

    time: int = 0
    equity: Decimal = ZERO
    start: Decimal | None = None
    cash: Decimal = ZERO
    holdings: tuple[Holding, ...] = ()
    orders: int = 0
    fills: int = 0
    refusals: int = 0

    def profit(self) -> Decimal:
        """Return the equity's change since the start."""
        return ZERO if self.start is None else self.equity - self.start

    def quantity(self, instrument: str) -> Decimal:
        """Return what it holds of an instrument over all strategies."""
        return total([h.quantity for h in self.holdings if h.instrument == instrument])


@dataclass(slots=True)
class Picture:
    """What a run looks like now.

    Attributes:
        candles: The newest closed candle of each instrument.
        views: The newest view by instrument, then strategy.
        accounts: By name.
        fills: The newest fills, newest last.
        counts: Messages seen by type.
    """

    candles: dict[str, Candle] = field(default_factory=dict)
    views: dict[str, dict[str, str]] = field(default_factory=dict)
    accounts: dict[str, AccountPicture] = field(default_factory=dict)
    fills: deque[Fill] = field(default_factory=lambda: deque(maxlen=NEWEST_FILLS))
    counts: dict[str, int] = field(default_factory=dict)

    def take(self, message: Message) -> None:
        """Take one message into the picture."""
        record = message.record
        self.counts[record.TYPE] = self.counts.get(record.TYPE, 0) + 1
        if isinstance(record, Candle):
            self.candles[record.instrument] = record
        elif isinstance(record, Signal):
            self.views.setdefault(record.instrument, {})[record.strategy] = str(record.view)
        elif isinstance(record, Portfolio):
            self._portfolio(record)
        elif isinstance(record, Orders):
            self.account(record.account).orders += len(record.orders)
        elif isinstance(record, Refusal):
            self.account(record.account).refusals += 1
        elif isinstance(record, Fill):
            self.account(record.account).fills += 1
            self.fills.append(record)

    def account(self, name: str) -> AccountPicture:
        """Return an account's picture, empty for one not seen yet."""
        return self.accounts.setdefault(name, AccountPicture())

    def _portfolio(self, record: Portfolio) -> None:
        account = self.account(record.account)
        account.time, account.equity, account.cash = record.time, record.equity, record.cash
        account.start = record.equity if account.start is None else account.start
        account.holdings = record.holdings
