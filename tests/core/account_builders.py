"""Plain numbers enter, records of one account leave; and a machine driven through crashes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from app.core.events import (
    Account,
    Action,
    Allocation,
    AllocationMethod,
    Booked,
    Command,
    Epoch,
    ExecutionModel,
    Fill,
    Filters,
    Identity,
    Inbound,
    Join,
    Leave,
    Liquidity,
    Message,
    Output,
    Record,
    RiskLimits,
    Series,
    Side,
    Signal,
    StrategySetting,
    View,
)
from app.core.flow import Machine
from app.runtime.codec import decode_state, encode, encode_state

ACCOUNT = "paper"
X = "BINANCE:BTCUSDT"
Y = "BINANCE:ETHUSDT"
MOMENTUM = "momentum"
MACD = "macd"
START = 1_570_752_000_000  # 2019-10-11T00:00:00Z
MINUTE = 60_000

FILTERS = Filters(Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(10))
LIMITS = RiskLimits(
    order_notional=Decimal(100_000),
    position_notional=Decimal(100_000),
    gross_notional=Decimal(200_000),
    daily_loss=Decimal(100_000),
    drawdown=Decimal(1),
    stale_after=10_000,
    allow_short=False,
)


def at(minute: int) -> int:
    """Return the decision time so many minutes after the start."""
    return START + minute * MINUTE


def account(
    *,
    instruments: Sequence[str] = (X,),
    strategies: Sequence[str] = (MOMENTUM,),
    capital: str = "10000",
    method: AllocationMethod = AllocationMethod.EQUAL,
    invested: str = "1",
    lookback: int = 10,
    **limits: Any,
) -> Account:
    return Account(
        name=ACCOUNT,
        quote="USDT",
        capital=Decimal(capital),
        instruments=tuple(instruments),
        strategies=tuple(StrategySetting(name, {}) for name in strategies),
        allocation=Allocation(method, Decimal(invested), lookback),
        risk=replace(LIMITS, **limits),
        execution=ExecutionModel(100, Decimal(5), Decimal(1), Decimal(5), Decimal(10)),
    )


def epoch(configured: Account, instrument: str = X, number: int = 1, **changes: Any) -> Epoch:
    whole = Epoch(instrument, configured, number, FILTERS, "BTC", MINUTE, 1)
    return replace(whole, **changes)


def join(instrument: str, minute: int, number: int = 1) -> Join:
    return Join(instrument, ACCOUNT, number, at(minute), 1, Series.AGGREGATE)


def leave(instrument: str, minute: int, number: int = 1) -> Leave:
    return Leave(instrument, ACCOUNT, number, at(minute), "removed")


def signal(
    strategy: str,
    instrument: str,
    minute: int,
    price: str | None = "100",
    view: View = View.FLAT,
    *,
    number: int = 1,
) -> Signal:
    known = None if price is None else Decimal(price)
    return Signal(ACCOUNT, instrument, strategy, at(minute), number, view, "", {}, known, True, 0)


def fill(
    strategy: str,
    instrument: str,
    minute: int,
    quantity: str,
    price: str = "100",
    *,
    fee: str = "0",
    part: int = 1,
    after: int = 500,
) -> Fill:
    """Return a fill of the order decided at `minute`; a quantity below zero is sold."""
    amount = Decimal(quantity)
    return Fill(
        account=ACCOUNT,
        instrument=instrument,
        order_id=f"{ACCOUNT}/{instrument}/{strategy}/{at(minute)}",
        part=part,
        strategy=strategy,
        side=Side.SELL if amount < 0 else Side.BUY,
        decision_time=at(minute),
        time=at(minute) + after,
        trade_id=minute,
        price=Decimal(price),
        quantity=abs(amount),
        fee=Decimal(fee),
        liquidity=Liquidity.TAKER,
    )


def booked(instrument: str, minute: int, *, final: bool = False) -> Booked:
    return Booked(ACCOUNT, instrument, at(minute), (), final)


def command(action: Action, name: str = "c1") -> Command:
    return Command(ACCOUNT, name, action, "me", "because")


def numbered(stage: str, source: str, records: Iterable[Record]) -> list[Message]:
    """Return a sender's records to the account, numbered, each caused by something."""
    return [
        Message(record, Identity(stage, source, ACCOUNT, number), f"{source}/{number}")
        for number, record in enumerate(records, start=1)
    ]


def merge(rng: random.Random, queues: Iterable[Sequence[Message]]) -> list[Message]:
    """Return the messages of several senders in a random order that keeps each one's own."""
    waiting = [list(queue) for queue in queues if queue]
    merged: list[Message] = []
    while waiting:
        queue = rng.choice(waiting)
        merged.append(queue.pop(0))
        waiting = [each for each in waiting if each]
    return merged


def with_repeats(rng: random.Random, log: Sequence[Message], chance: float = 0.2) -> list[Message]:
    """Return a log in which records of known senders appear again later, as after a crash."""
    result: list[Message] = []
    for message in log:
        result.append(message)
        while result and rng.random() < chance:
            again = rng.choice(result)
            if again.identity is not None:
                result.append(again)
    return result


def feed(machine: Machine, messages: Iterable[Message], topic: str, start: int = 0) -> list[Record]:
    """Give a machine messages of one topic; return the records it puts out."""
    return [
        output.message.record
        for offset, message in enumerate(messages, start=start)
        for output in machine.take(Inbound(message, topic, 0, offset))
    ]


class World:
    """The least runtime there is: logs, one machine, its written state, and crashes."""

    def __init__(
        self,
        make: Callable[[Any], Machine],
        logs: dict[str, list[Message]],
        rng: random.Random,
        chance: float,
    ) -> None:
        self.crashes = 0
        self.machine = make(None)
        self._make = make
        self._logs = logs
        self._rng = rng
        self._chance = chance
        self._position = dict.fromkeys(logs, 0)
        self._needed = dict.fromkeys(logs, 0)
        self._outputs: list[Output] = []
        self._state: tuple[type, str] | None = None

    def run(self) -> list[Output]:
        """Read every log to its end, crashing now and then; return the outputs, repeats once."""
        while open_topics := [t for t, log in self._logs.items() if self._position[t] < len(log)]:
            self._take(self._rng.choice(open_topics))
        return once(self._outputs)

    def _take(self, topic: str) -> None:
        offset = self._position[topic]
        self._position[topic] += 1
        before = self.machine.revision
        self._outputs += self.machine.take(Inbound(self._logs[topic][offset], topic, 0, offset))
        if self._rng.random() < self._chance:  # outputs are out, the state is not written
            self._crash()
            return
        if self.machine.revision != before:
            durable = self.machine.durable()
            self._state = (type(durable), encode_state(durable))
        self._needed = self._position | self.machine.needs()
        if self._rng.random() < self._chance:
            self._crash()

    def _crash(self) -> None:
        self.crashes += 1
        self.machine = self._make(None if self._state is None else decode_state(*self._state))
        self._position = dict(self._needed)


def once(outputs: Iterable[Output]) -> list[Output]:
    """Return outputs as a reader by identity has them; a repeat must be the same bytes."""
    first: dict[str, Output] = {}
    for output in outputs:
        known = first.setdefault(output.message.name, output)
        assert encode(known.message) == encode(output.message)
        assert (known.topic, known.key) == (output.topic, output.key)
    return list(first.values())
