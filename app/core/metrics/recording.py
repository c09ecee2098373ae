"""The records of a run enter one by one; what its figures are made of leaves.

Records come in causal order: each after the one that caused it, each once. The replay driver
makes them so, and so does event-time order with portfolios last; between accounts and
instruments any order will do, and nothing depends on it. Types without a part in any figure
(trades, signals, targets) may be fed or left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.core.events import (
    Booked,
    Candle,
    Epoch,
    Fill,
    Gap,
    Halted,
    Orders,
    Portfolio,
    Record,
    Refusal,
    Resumed,
    RiskReport,
)
from app.core.metrics.book import AccountRecords, RunRecordsError
from app.core.metrics.prices import PriceRecord

__all__ = ["RunRecords", "RunRecordsError"]


class RunRecords:
    """A run, folded as it is fed.

    Memory grows by 8 bytes a decision time for each of: time, equity, exposure, buy and hold,
    every strategy and every instrument (67 MB for a year of minutes of one account with eight
    instruments and two strategies); by about 1 kB for a round trip, 0.3 kB for an order and 25
    bytes for a fill. Candles become at most 1,024 bars an instrument.

    Attributes:
        accounts: By name.
        prices: By instrument.
    """

    def __init__(self) -> None:
        self.accounts: dict[str, AccountRecords] = {}
        self.prices: dict[str, PriceRecord] = {}
        self._takers: dict[type, Callable[[Any], None]] = {
            Candle: self._candle,
            Gap: self._gap,
            Epoch: self._epoch,
            Portfolio: lambda record: self.account(record.account).portfolio(record),
            Orders: lambda record: self.account(record.account).place(record),
            Fill: lambda record: self.account(record.account).fill(record),
            Booked: lambda record: self.account(record.account).booked(record),
            Refusal: lambda record: self.account(record.account).refuse(record),
            Halted: lambda record: self.account(record.account).halts.append(record),
            Resumed: lambda record: self.account(record.account).halts.append(record),
            RiskReport: self._risk_report,
        }

    def take(self, record: Record) -> None:
        """Take the next record; one without a part in any figure is passed over.

        Raises:
            RunRecordsError: A record was missing, came twice, or came before its cause.
        """
        taker = self._takers.get(type(record))
        if taker is not None:
            taker(record)

    def account(self, name: str) -> AccountRecords:
        """Return what was fed of an account, nothing for a new one."""
        if name not in self.accounts:
            self.accounts[name] = AccountRecords(name)
        return self.accounts[name]

    def price(self, instrument: str) -> PriceRecord:
        """Return what was fed of an instrument, nothing for a new one."""
        if instrument not in self.prices:
            self.prices[instrument] = PriceRecord()
        return self.prices[instrument]

    def _candle(self, record: Candle) -> None:
        self.price(record.instrument).take(record)

    def _gap(self, record: Gap) -> None:
        self.price(record.instrument).gaps.setdefault(record.name(), record)

    def _epoch(self, record: Epoch) -> None:
        self.account(record.account.name).epoch(record)

    def _risk_report(self, record: RiskReport) -> None:
        self.account(record.account).counts.halted += record.halted
