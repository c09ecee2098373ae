"""One instrument's trades, clocks and gaps enter; one candle for every interval leaves."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from itertools import compress
from typing import Any

from app.core.columns import Decimals, sum_of_products
from app.core.decimals import EXACT, ZERO, add, shifted, total
from app.core.events import (
    Candle,
    Clock,
    Epoch,
    Gap,
    History,
    Inbound,
    Join,
    Leave,
    Output,
    Record,
    Trades,
    trade_name,
)
from app.core.flow import Outbox
from app.core.rules import foreign
from app.core.tape import KEPT, Late, Passed, Run, Tape, TapeState
from app.core.written import Written

TOPIC = "candles"


@dataclass(frozen=True, slots=True)
class Bar:
    """Some trades of one interval, folded; fields as in a candle."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    taker_buy_volume: Decimal
    trades: int
    first_id: int
    last_id: int


@dataclass(frozen=True, slots=True)
class LateBar:
    """Late trades of the interval that ends at `time`, not yet in a revision of its candle."""

    time: int
    bar: Bar


@dataclass(frozen=True, slots=True)
class Recent:
    """The newest candles as last revised, oldest first, in columns; fields as in a candle."""

    time: tuple[int, ...] = ()
    open: Written[Decimal | None] = field(default_factory=Written)
    high: Written[Decimal | None] = field(default_factory=Written)
    low: Written[Decimal | None] = field(default_factory=Written)
    close: Written[Decimal | None] = field(default_factory=Written)
    volume: Written[Decimal] = field(default_factory=Written)
    quote_volume: Written[Decimal] = field(default_factory=Written)
    taker_buy_volume: Written[Decimal] = field(default_factory=Written)
    trades: tuple[int, ...] = ()
    first_id: tuple[int | None, ...] = ()
    last_id: tuple[int | None, ...] = ()
    complete: tuple[bool, ...] = ()
    age: tuple[int, ...] = ()
    revision: tuple[int, ...] = ()

    def __add__(self, more: Recent) -> Recent:
        return Recent(*(getattr(self, name) + getattr(more, name) for name in _COLUMNS))

    def append(self, candle: Candle) -> Recent:
        """Return the columns with one candle more."""
        return self + _one(candle)

    def newest(self, count: int) -> Recent:
        """Return the columns with no more than the newest candles."""
        return self._rows(slice(-count, None))

    def put(self, place: int, candle: Candle) -> Recent:
        """Return the columns with the candle in a place."""
        return self._rows(slice(place)).append(candle) + self._rows(slice(place + 1, None))

    def candle(self, place: int, instrument: str, interval: int) -> Candle:
        """Return the candle in a place."""
        row = {name: getattr(self, name)[place] for name in _COLUMNS}
        return Candle(instrument=instrument, interval=interval, **row)

    def _rows(self, rows: slice) -> Recent:
        return Recent(*(getattr(self, name)[rows] for name in _COLUMNS))


_COLUMNS: dict[str, type] = {
    column.name: type(getattr(Recent(), column.name)) for column in fields(Recent)
}


def _one(candle: Candle) -> Recent:
    return Recent(*(kind((getattr(candle, name),)) for name, kind in _COLUMNS.items()))


@dataclass(frozen=True, slots=True)
class CandleState:
    """All there is to know of one instrument; durable as of the last candle or passed record.

    Attributes:
        tape: Where its stream stands.
        sent: How many records it has sent.
        epochs: The last epoch passed on, by account.
        history: End of the last history passed on since the last epoch, milliseconds since the
            epoch UTC.
        close: The last known price before the open interval.
        bar: The trades of the open interval so far.
        late: Late trades by interval, to be made revisions when an interval closes.
        recent: The last closed candles.
        expired: How many late trades were too old for a revision.
    """

    tape: TapeState = field(default_factory=TapeState)
    sent: int = 0
    epochs: dict[str, int] = field(default_factory=dict)
    history: int = 0
    close: Decimal | None = None
    bar: Bar | None = None
    late: tuple[LateBar, ...] = ()
    recent: Recent = field(default_factory=Recent)
    expired: int = 0


class CandleMachine:
    """Folds one instrument's stream into candles, and passes on what steers the strategies.

    A candle at T covers [T - interval, T). From the first join on there is one for every
    interval. Late trades never change what was decided: when the next interval closes, they make
    a revision of their candle, if it is one of the last 60. `age` of a revision is its candle's.

    Attributes:
        revision: Counts the changes of the durable state.
        time: End of the last closed interval, milliseconds since the epoch UTC.
    """

    def __init__(self, key: str, state: CandleState | None) -> None:
        self._key = key
        self._now = self._durable = state or CandleState()
        self._tape = Tape(self._now.tape)
        self._outbox = Outbox("candles", key, {key: self._now.sent})
        self._held: tuple[str, int] | None = None
        self.revision = 0
        self.time = self._now.tape.closed

    def take(self, inbound: Inbound) -> list[Output]:
        """Take one record of `trades`; return the candles it closes, or the record passed on."""
        record = inbound.record
        if isinstance(record, Trades | Clock | Gap):
            outputs = self._follow(record)
        elif isinstance(record, Epoch | History | Join | Leave):
            outputs = self._pass_on(record)
        else:
            raise foreign(inbound)
        self._hold(inbound)
        return outputs

    def durable(self) -> CandleState:
        """Return the durable state."""
        return self._durable

    def needs(self) -> dict[str, int]:
        """Return the oldest offset with a trade or gap that is not in the durable state."""
        return {} if self._held is None else {self._held[0]: self._held[1]}

    def waiting(self) -> str:
        """Return which trade is due where later ones were read already; else nothing."""
        return self._tape.waiting()

    def _follow(self, record: Trades | Clock | Gap) -> list[Output]:
        outputs: list[Output] = []
        for step in self._tape.take(record):
            if isinstance(step, Passed) and not isinstance(record, Gap):
                outputs += self._close(step, record.age)
            elif isinstance(step, Run) and isinstance(record, Trades):
                bar = merge(self._now.bar, fold(record, step.start, step.stop))
                self._now = replace(self._now, bar=bar)
            elif isinstance(step, Late) and isinstance(record, Trades):
                self._keep_late(record, step.index)
        return outputs

    def _pass_on(self, record: Epoch | History | Join | Leave) -> list[Output]:
        if not self._adopt(record):
            return []
        output = self._send(record, record.name())
        self._commit()
        return [output]

    def _adopt(self, record: Epoch | History | Join | Leave) -> bool:
        """Learn from what steers the run; return False for a repeat."""
        if isinstance(record, Epoch):
            return self._adopt_epoch(record)
        if isinstance(record, History):
            return self._adopt_history(record)
        if isinstance(record, Leave):
            return self._tape.leave(record)
        closed = self._tape.state.closed
        new = self._tape.join(record)
        if self._tape.state.closed != closed:
            self._start()
        return new

    def _adopt_epoch(self, epoch: Epoch) -> bool:
        name = epoch.account.name
        if epoch.number <= self._now.epochs.get(name, 0):
            return False
        self._tape.adopt(epoch)
        self._now = replace(self._now, epochs={**self._now.epochs, name: epoch.number}, history=0)
        return True

    def _adopt_history(self, history: History) -> bool:
        # Its name does not tell accounts apart, but what an account warms up on follows its epoch.
        if history.time[-1] <= self._now.history:
            return False
        self._now = replace(self._now, history=history.time[-1])
        return True

    def _start(self) -> None:
        """Begin with the tape: what was open when the last account had left is not whole."""
        close = self._now.close if self._now.bar is None else self._now.bar.close
        self._now = replace(self._now, close=close, bar=None, late=(), recent=Recent())

    def _hold(self, inbound: Inbound) -> None:
        """Hold the first input with something that the durable state does not have."""
        if self._tape.state is not self._now.tape:
            self._now = replace(self._now, tape=self._tape.state)
        if self._now is not self._durable and self._held is None:
            self._held = (inbound.topic, inbound.offset)

    def _commit(self) -> None:
        sent = self._outbox.sent[self._key]
        self._durable = self._now = replace(self._now, tape=self._tape.state, sent=sent)
        self._held = None
        self.revision += 1
        self.time = self._now.tape.closed

    def _send(self, record: Record, origin: str) -> Output:
        return self._outbox.send(TOPIC, self._key, record, origin)

    def _close(self, passed: Passed, age: int) -> list[Output]:
        candle = self._candle(passed.time, age)
        outputs = [self._send(candle, passed.origin)]
        recent = self._now.recent.append(candle)
        self._now = replace(self._now, bar=None, close=candle.close, recent=recent)
        outputs += self._revise(passed.time)
        self._now = replace(self._now, recent=self._now.recent.newest(KEPT))
        self._commit()
        return outputs

    def _candle(self, time: int, age: int) -> Candle:
        tape, bar = self._tape.state, self._now.bar
        return Candle(
            instrument=self._key,
            interval=tape.interval,
            time=time,
            complete=tape.whole(time),
            age=age,
            revision=0,
            **(_empty(self._now.close) if bar is None else _columns(bar)),
        )

    def _keep_late(self, record: Trades, index: int) -> None:
        now, tape = self._now, self._tape.state
        if record.time[index] < tape.closed and now.bar is None and not now.recent.time:
            # Before the first candle: no more than the price it begins with.
            self._now = replace(now, close=record.price[index])
            return
        end = record.time[index] // tape.interval * tape.interval + tape.interval
        if end <= tape.closed and end not in now.recent.time:
            self._now = replace(now, expired=now.expired + 1)
            return
        bars = {late.time: late.bar for late in now.late}
        bars[end] = merge(bars.get(end), fold(record, index, index + 1))
        self._now = replace(now, late=tuple(LateBar(time, bars[time]) for time in sorted(bars)))

    def _revise(self, closed: int) -> list[Output]:
        outputs, kept = [], []
        for late in self._now.late:
            if late.time > closed:
                kept.append(late)
            else:
                outputs.append(self._revision(late))
        if outputs:
            self._now = replace(self._now, late=tuple(kept))
        return outputs

    def _revision(self, late: LateBar) -> Output:
        recent, tape = self._now.recent, self._tape.state
        place = recent.time.index(late.time)
        candle = recent.candle(place, self._key, tape.interval)
        revised = replace(
            candle,
            complete=candle.complete or tape.restored(late.time),
            revision=candle.revision + 1,
            **_columns(merge(_bar(candle), late.bar)),
        )
        self._now = replace(self._now, recent=recent.put(place, revised))
        return self._send(revised, trade_name(self._key, late.bar.last_id))


def fold(record: Trades, start: int, stop: int) -> Bar:
    """Return the bar of trades `start` to `stop` (exclusive, at least one) of a record."""
    if isinstance(record.price, Decimals) and isinstance(record.quantity, Decimals):
        return _fold_units(record, record.price, record.quantity, slice(start, stop))
    price, quantity = record.price[start:stop], record.quantity[start:stop]
    quote_volume = ZERO
    for value, size in zip(price, quantity, strict=True):
        quote_volume = EXACT.fma(value, size, quote_volume)
    resting = record.buyer_maker[start:stop]
    bought = [size for size, rested in zip(quantity, resting, strict=True) if not rested]
    return Bar(
        open=price[0],
        high=max(price),
        low=min(price),
        close=price[-1],
        volume=total(quantity),
        quote_volume=quote_volume,
        taker_buy_volume=total(bought),
        trades=stop - start,
        first_id=record.id[start],
        last_id=record.id[stop - 1],
    )


def _fold_units(record: Trades, price: Decimals, quantity: Decimals, rows: slice) -> Bar:
    """Return what `fold` does, of whole numbers: nothing is rounded."""
    prices, sizes = price.units[rows], quantity.units[rows]
    volume = int(sizes.sum())
    rested = sum(compress(sizes.tolist(), record.buyer_maker[rows]))
    spent = sum_of_products(prices, sizes)
    return Bar(
        open=price[rows.start],
        high=price[rows.start + int(prices.argmax())],
        low=price[rows.start + int(prices.argmin())],
        close=price[rows.stop - 1],
        volume=quantity.decimal(volume),
        quote_volume=shifted(spent, price.places + quantity.places),
        taker_buy_volume=quantity.decimal(volume - rested),
        trades=rows.stop - rows.start,
        first_id=record.id[rows.start],
        last_id=record.id[rows.stop - 1],
    )


def merge(bar: Bar | None, other: Bar) -> Bar:
    """Return the bar of two sets of trades of one interval, in whatever order they came."""
    if bar is None:
        return other
    first = min(bar, other, key=lambda one: one.first_id)
    last = max(bar, other, key=lambda one: one.last_id)
    return Bar(
        open=first.open,
        high=max(bar.high, other.high),
        low=min(bar.low, other.low),
        close=last.close,
        volume=add(bar.volume, other.volume),
        quote_volume=add(bar.quote_volume, other.quote_volume),
        taker_buy_volume=add(bar.taker_buy_volume, other.taker_buy_volume),
        trades=bar.trades + other.trades,
        first_id=first.first_id,
        last_id=last.last_id,
    )


_BAR = tuple(column.name for column in fields(Bar))


def _columns(bar: Bar) -> dict[str, Any]:
    return {name: getattr(bar, name) for name in _BAR}


def _bar(candle: Candle) -> Bar | None:
    return Bar(*(getattr(candle, name) for name in _BAR)) if candle.trades else None


def _empty(close: Decimal | None) -> dict[str, Any]:
    prices = dict.fromkeys(("open", "high", "low", "close"), close)
    sums = dict.fromkeys(("volume", "quote_volume", "taker_buy_volume"), ZERO)
    return {**prices, **sums, "trades": 0, "first_id": None, "last_id": None}
