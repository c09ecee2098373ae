"""A seed enters; a small market leaves, with all that steers two accounts through it.

Three instruments with trends, a quiet spell, a gap that is filled later, clocks that are sometimes
left to the next trade (not at the end of the intervals CLOCKED, where a test gives commands); and
in the middle a new configuration of one account, which drops an instrument and adds a strategy.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from app.core.events import (
    Account,
    Allocation,
    AllocationMethod,
    Clock,
    Epoch,
    ExecutionModel,
    Filters,
    Gap,
    History,
    Join,
    Leave,
    Record,
    RiskLimits,
    Series,
    StrategySetting,
    Trades,
)

START = 1_570_752_000_000  # 2019-10-11T00:00:00Z
INTERVAL = 10_000
A, B, C = INSTRUMENTS = ("SIM:AAAUSDT", "SIM:BBBUSDT", "SIM:CCCUSDT")
CLOCKED = (9, 18)
QUIET = range(12, 16)
GAP = 20
FILLED = 23
CHANGE = 28
FILTERS = Filters(Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(5))

MOMENTUM = StrategySetting("momentum", {"lookback": "3", "entry": "0.002", "exit": "0.0005"})
SLOW = StrategySetting("momentum", {"lookback": "2", "entry": "0.002", "every": "2"})
MACD = StrategySetting("macd", {"fast": "3", "slow": "6", "signal": "3"})


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade."""

    id: int
    time: int
    price: Decimal
    quantity: Decimal
    buyer_maker: bool


def end(number: int, start: int = START) -> int:
    """Return the decision time at the end of an interval, counted from 0."""
    return start + (number + 1) * INTERVAL


def account(
    name: str, instruments: tuple[str, ...], *strategies: StrategySetting, short: bool
) -> Account:
    limits = RiskLimits(
        order_notional=Decimal(4_000),
        position_notional=Decimal(5_000),
        gross_notional=Decimal(12_000),
        daily_loss=Decimal(5_000),
        drawdown=Decimal("0.5"),
        stale_after=5_000,
        allow_short=short,
    )
    model = ExecutionModel(
        latency=500,
        slippage=Decimal(2),
        participation=Decimal("0.5"),
        maker_fee=Decimal(5),
        taker_fee=Decimal("7.5"),
    )
    allocation = Allocation(AllocationMethod.EQUAL, Decimal("0.9"), 10)
    return Account(
        name, "USDT", Decimal(10_000), instruments, strategies, allocation, limits, model
    )


ALPHA = account("alpha", (A, B), MOMENTUM, MACD, short=True)
BETA = account("beta", INSTRUMENTS, SLOW, short=False)
BETA_CHANGED = account("beta", (A, B), MOMENTUM, MACD, short=False)


def joining(
    of: Account, number: int, instrument: str, before: int, joins: int, *, start: int = START
) -> list[Record]:
    """Return what makes an instrument join at the end of interval `joins`."""
    times = tuple(end(each, start) for each in range(before - 12, before))
    closes = tuple(Decimal(1000 + each % 5) / 10 for each in range(12))
    ones = tuple(Decimal(1) for _ in times)
    return [
        Epoch(instrument, of, number, FILTERS, instrument[4:7], INTERVAL, 1),
        History(instrument, INTERVAL, times, closes, closes, closes, closes, ones),
        Join(instrument, of.name, number, end(joins, start), 1, Series.AGGREGATE),
    ]


@dataclass(slots=True)
class Walk:
    """A price that goes at random, trade by trade.

    Attributes:
        draw: Draws every trade.
        start: Where the first interval begins, milliseconds since the epoch UTC.
        deviation: Of one trade's price from the one before, as a part of it.
        most: The quantity of a trade is below it, in thousandths.
        price: That of the last trade.
        number: Its id.
    """

    draw: random.Random
    start: int
    deviation: float
    most: int
    price: float = 100.0
    number: int = 0

    def interval(self, number: int, drift: float, count: int) -> list[Trade]:
        """Return so many trades of an interval, each of which moves the price by `drift`, too."""
        begin = self.start + number * INTERVAL
        times = sorted(self.draw.randrange(INTERVAL) for _ in range(count))
        return [self._trade(begin + time, drift) for time in times]

    def _trade(self, time: int, drift: float) -> Trade:
        self.number += 1
        self.price *= 1.0 + drift + self.draw.gauss(0.0, self.deviation)
        price = Decimal(round(self.price, 2)).quantize(Decimal("0.01"))
        quantity = Decimal(self.draw.randrange(1, self.most)) / 1000
        return Trade(self.number, time, price, quantity, self.draw.random() < 0.5)


def walk(draw: random.Random, instrument: str, intervals: int) -> Iterator[list[Trade]]:
    """Yield the trades of each interval."""
    course = Walk(draw, START, 8e-4, 4_000)
    for interval in range(intervals):
        drift = draw.choice((-4e-4, 0.0, 4e-4)) if interval % 5 == 0 else 0.0
        quiet = instrument == B and interval in QUIET
        yield course.interval(interval, drift, 0 if quiet else 12)


def batch(instrument: str, trades: list[Trade]) -> Trades:
    ids = tuple(trade.id for trade in trades)
    return Trades(
        instrument=instrument,
        id=ids,
        first_id=ids,
        last_id=ids,
        time=tuple(trade.time for trade in trades),
        price=tuple(trade.price for trade in trades),
        quantity=tuple(trade.quantity for trade in trades),
        buyer_maker=tuple(trade.buyer_maker for trade in trades),
        age=0,
    )


def batches(instrument: str, trades: list[Trade], draw: random.Random) -> Iterator[Record]:
    """Yield the trades in records of drawn sizes, some of them again."""
    while trades:
        size = draw.randrange(1, 9)
        record = batch(instrument, trades[:size])
        yield record
        if draw.random() < 0.1:
            yield record
        trades = trades[size:]


class Market:
    """The records of each interval by instrument; the same for every way they are packed.

    Attributes:
        intervals: How many there are.
        trades: Every trade, by instrument and interval.
        packed: The records of `trades`, by instrument and interval, in order.
    """

    def __init__(self, seed: int, intervals: int, packing: int = 0) -> None:
        draw = random.Random(seed)
        self.intervals = intervals
        self.trades = {name: list(walk(draw, name, intervals)) for name in INSTRUMENTS}
        self._clocks = {
            name: [each for each in range(intervals) if draw.random() < 0.7 or each in CLOCKED]
            for name in INSTRUMENTS
        }
        pack = random.Random(packing)
        self.packed = {
            name: [list(self._interval(name, number, pack)) for number in range(intervals)]
            for name in INSTRUMENTS
        }

    def _interval(self, name: str, number: int, pack: random.Random) -> Iterator[Record]:
        yield from self._steering(name, number)
        trades = self.trades[name][number]
        if name == A and number == GAP:
            lost = trades[4:8]
            yield from batches(name, trades[:4], pack)
            yield Gap(name, lost[0].id, lost[-1].id, trades[3].time, trades[8].time, "lost")
            trades = trades[8:]
        if name == A and number == FILLED:
            yield batch(name, self.trades[name][GAP][4:8])
        yield from batches(name, trades, pack)
        if number in self._clocks[name] or not trades or number == self.intervals - 1:
            last = max(trade.id for each in self.trades[name][: number + 1] for trade in each)
            yield Clock(name, end(number), last, 0)

    def _steering(self, name: str, number: int) -> Iterator[Record]:
        if number == 0:
            if name in ALPHA.instruments:
                yield from joining(ALPHA, 1, name, 0, 0)
            yield from joining(BETA, 1, name, 0, 0)
        if number == CHANGE and name in BETA_CHANGED.instruments:
            # Not at one time: the configuration acts at the latest.
            yield from joining(BETA_CHANGED, 2, name, CHANGE, CHANGE + 2 + (name == B))
        if number == CHANGE + 1 and name == C:
            yield Leave(C, "beta", 2, end(CHANGE + 2), "left out of the configuration")
