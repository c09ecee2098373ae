"""Plain numbers enter, records and the inputs that carry them leave: short forms for tests."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

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
    Identity,
    Inbound,
    Join,
    Leave,
    Message,
    Order,
    OrderKind,
    Orders,
    Record,
    RiskLimits,
    Series,
    Side,
    StrategySetting,
    Trades,
)

INSTRUMENT = "BINANCE:BTCUSDT"
ACCOUNT = "paper"
START = 1_570_752_000_000  # 2019-10-11T00:00:00Z
MINUTE = 60_000

# id, time in milliseconds after START, price, quantity, and whether the buyer rested.
Row = tuple[int, int, str, str] | tuple[int, int, str, str, bool]


def trades(*rows: Row, instrument: str = INSTRUMENT, age: int = 0) -> Trades:
    ids = tuple(row[0] for row in rows)
    return Trades(
        instrument=instrument,
        id=ids,
        first_id=ids,
        last_id=ids,
        time=tuple(START + row[1] for row in rows),
        price=tuple(Decimal(row[2]) for row in rows),
        quantity=tuple(Decimal(row[3]) for row in rows),
        buyer_maker=tuple(len(row) > 4 and bool(row[-1]) for row in rows),
        age=age,
    )


def clock(time: int, last_id: int, *, instrument: str = INSTRUMENT, age: int = 0) -> Clock:
    """Return a clock; `time` counts from START."""
    return Clock(instrument, START + time, last_id, age)


def gap(
    first_id: int, last_id: int | None, begin: int, end: int, *, instrument: str = INSTRUMENT
) -> Gap:
    """Return a gap; `begin` and `end` count from START."""
    return Gap(instrument, first_id, last_id, START + begin, START + end, "no answer in time")


def model(**changes: Any) -> ExecutionModel:
    fields: dict[str, Any] = {
        "latency": 100,
        "slippage": Decimal(0),
        "participation": Decimal(1),
        "maker_fee": Decimal(0),
        "taker_fee": Decimal(0),
    }
    return ExecutionModel(**fields | changes)


def limits(**changes: Any) -> RiskLimits:
    fields: dict[str, Any] = {
        "order_notional": Decimal(10**6),
        "position_notional": Decimal(10**6),
        "gross_notional": Decimal(10**7),
        "daily_loss": Decimal(10**6),
        "drawdown": Decimal(1),
        "stale_after": 10_000,
        "allow_short": True,
    }
    return RiskLimits(**fields | changes)


def account(name: str = ACCOUNT, **changes: Any) -> Account:
    fields: dict[str, Any] = {
        "quote": "USDT",
        "capital": Decimal(100_000),
        "instruments": (INSTRUMENT,),
        "strategies": (StrategySetting("momentum", {}),),
        "allocation": Allocation(AllocationMethod.EQUAL, Decimal(1), 100),
        "risk": limits(),
        "execution": model(),
    }
    return Account(name, **fields | changes)


def filters(
    tick: str = "0.01", lot: str = "0.001", quantity: str = "0", notional: str = "0"
) -> Filters:
    return Filters(Decimal(tick), Decimal(lot), Decimal(quantity), Decimal(notional))


def epoch(
    number: int = 1,
    of: Account | None = None,
    *,
    rules: Filters | None = None,
    instrument: str = INSTRUMENT,
    interval: int = MINUTE,
) -> Epoch:
    base = "BTC"
    return Epoch(instrument, of or account(), number, rules or filters(), base, interval, 1)


def join(
    time: int,
    next_id: int = 1,
    *,
    account: str = ACCOUNT,
    epoch: int = 1,
    instrument: str = INSTRUMENT,
) -> Join:
    """Return a join; `time` counts from START."""
    return Join(instrument, account, epoch, START + time, next_id, Series.AGGREGATE)


def leave(
    time: int, *, account: str = ACCOUNT, epoch: int = 2, instrument: str = INSTRUMENT
) -> Leave:
    """Return a leave; `time` counts from START."""
    return Leave(instrument, account, epoch, START + time, "left out of the configuration")


def history(
    time: int, closes: Iterable[str], *, instrument: str = INSTRUMENT, interval: int = MINUTE
) -> History:
    """Return past candles whose prices are their closes; the last ends at `time` after START."""
    column = tuple(Decimal(close) for close in closes)
    times = tuple(START + time - interval * back for back in range(len(column) - 1, -1, -1))
    volumes = tuple(Decimal(1) for _ in column)
    return History(instrument, interval, times, column, column, column, column, volumes)


def order(
    order_id: str,
    quantity: str,
    *,
    side: Side = Side.BUY,
    kind: OrderKind = OrderKind.MARKET,
    limit: str | None = None,
    stop: str | None = None,
    strategy: str = "momentum",
) -> Order:
    return Order(
        order_id=order_id,
        strategy=strategy,
        side=side,
        kind=kind,
        quantity=Decimal(quantity),
        limit_price=None if limit is None else Decimal(limit),
        stop_price=None if stop is None else Decimal(stop),
        signal=f"{strategy}/{INSTRUMENT}/{ACCOUNT}/1",
    )


def orders(
    time: int,
    *each: Order,
    account: str = ACCOUNT,
    epoch: int = 1,
    instrument: str = INSTRUMENT,
) -> Orders:
    """Return the orders of one decision time, which counts from START."""
    return Orders(account, instrument, START + time, epoch, each)


def derived(
    record: Record,
    number: int,
    *,
    stage: str,
    source: str,
    destination: str,
    origin: str = "trades/BINANCE:BTCUSDT/1",
) -> Message:
    """Return a record with the identity that a stage gives it."""
    return Message(record, Identity(stage, source, destination, number), origin)


def inputs(topic: str, each: Iterable[Record | Message], first: int = 0) -> list[Inbound]:
    """Return records as read from partition 0 of a topic, at offsets from `first` on."""
    return [
        Inbound(one if isinstance(one, Message) else Message(one), topic, 0, offset)
        for offset, one in enumerate(each, first)
    ]
