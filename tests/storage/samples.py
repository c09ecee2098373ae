"""Small records of each kind, as they would be read, for tests on the real tables."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from app.core.events import (
    Action,
    Allocated,
    Booked,
    Candle,
    Clock,
    Command,
    Fill,
    Gap,
    Halted,
    Holding,
    Identity,
    Inbound,
    Limit,
    Liquidity,
    Mark,
    Message,
    Order,
    OrderKind,
    Orders,
    Outcome,
    Performance,
    Portfolio,
    Record,
    Refusal,
    RiskReport,
    Side,
    Signal,
    Target,
    Trades,
    View,
    Weight,
)

MINUTE = 60_000
DAY = 86_400_000
START = 1_570_752_000_000  # 2019-10-11T00:00:00Z
ACCOUNT = "main"
INSTRUMENT = "BINANCE:XRPETH"
STRATEGY = "momentum"


def placed(topic: str, messages: Sequence[Message], partition: int = 0) -> list[Inbound]:
    """Return the messages as a partition that begins with them would give them."""
    return [Inbound(message, topic, partition, offset) for offset, message in enumerate(messages)]


def derived(record: Record, name: str, number: int, origin: str = "clock/X/1") -> Message:
    """Return a record of a stage, from and to one key."""
    return Message(record, Identity(name, ACCOUNT, ACCOUNT, number), origin)


def trades(ids: Sequence[int], price: str = "0.0012", step: int = 1000) -> Message:
    """Return one record of trades, `step` milliseconds apart by id."""
    size = len(ids)
    return Message(
        Trades(
            instrument=INSTRUMENT,
            id=tuple(ids),
            first_id=tuple(ids),
            last_id=tuple(ids),
            time=tuple(START + step * number for number in ids),
            price=(Decimal(price),) * size,
            quantity=(Decimal(10),) * size,
            buyer_maker=(True,) * size,
            age=0,
        )
    )


def candle(
    number: int,
    prices: tuple[str, str, str, str] | None = ("1", "1", "1", "1"),
    traded: int = 1,
    *,
    revision: int = 0,
    complete: bool = True,
    instrument: str = INSTRUMENT,
) -> Message:
    """Return the candle that ends `number` minutes after START."""
    open_, high, low, close = map(Decimal, prices) if prices else (None,) * 4
    record = Candle(
        instrument=instrument,
        interval=MINUTE,
        time=START + number * MINUTE,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=Decimal(traded),
        quote_volume=Decimal(2 * traded),
        taker_buy_volume=Decimal(0),
        trades=traded,
        first_id=number * 100 if traded else None,
        last_id=number * 100 + traded - 1 if traded else None,
        complete=complete,
        age=0,
        revision=revision,
    )
    origin = f"trades/{INSTRUMENT}/{number * 100}"
    return derived(record, "candles", 1000 * revision + number + 1, origin)


def signal(number: int) -> Message:
    """Return the signal of the decision time `number` minutes after START."""
    record = Signal(
        account=ACCOUNT,
        instrument=INSTRUMENT,
        strategy=STRATEGY,
        time=START + number * MINUTE,
        epoch=1,
        view=View.LONG,
        reason="rising",
        indicators={"momentum": 0.5},
        price=Decimal(1),
        complete=True,
        age=0,
    )
    return derived(record, STRATEGY, number + 1, f"candles/main/main/{number + 1}")


def portfolio(number: int, equity: str, quantity: str = "10", cost: str = "12") -> Message:
    """Return the portfolio `number` minutes after START, with one holding marked at 1.5."""
    holding = Holding(
        STRATEGY, INSTRUMENT, Decimal(quantity), Decimal(cost), Decimal(3), Decimal("0.01")
    )
    record = Portfolio(
        account=ACCOUNT,
        time=START + number * MINUTE,
        epoch=1,
        cash=Decimal(100),
        equity=Decimal(equity),
        holdings=(holding,),
        marks=(Mark(INSTRUMENT, Decimal("1.5"), complete=True, age=0),),
        opinions=(),
        instructions=(),
    )
    return derived(record, "portfolio", number + 1, f"momentum/main/main/{number + 1}")


def allocated(number: int, profit: str, time: int | None = None) -> Message:
    """Return the allocation `number` minutes after START, or at `time`."""
    record = Allocated(
        account=ACCOUNT,
        time=START + number * MINUTE if time is None else time,
        epoch=1,
        equity=Decimal(115),
        cash=Decimal(100),
        weights=(Weight(STRATEGY, Decimal(1)),),
        performance=(
            Performance(STRATEGY, Decimal(profit), Decimal(0), Decimal(0), Decimal(profit)),
        ),
        targets=(Target(STRATEGY, INSTRUMENT, Decimal(10), Decimal(0), "momentum/main/main/1"),),
        marks=(),
        instructions=(),
    )
    return derived(record, "allocation", number + 1, f"portfolio/main/main/{number + 1}")


def orders(number: int) -> Message:
    """Return one order at `number` minutes after START."""
    order = Order(
        f"order-{number}",
        STRATEGY,
        Side.BUY,
        OrderKind.MARKET,
        Decimal(10),
        None,
        None,
        "momentum/main/main/1",
    )
    record = Orders(ACCOUNT, INSTRUMENT, START + number * MINUTE, 1, (order,))
    return derived(record, "risk", number + 1, f"allocation/main/main/{number + 1}")


def fill(number: int, part: int, quantity: str = "5") -> Message:
    """Return a fill of the order of `number` minutes, by trade `part`."""
    record = Fill(
        account=ACCOUNT,
        instrument=INSTRUMENT,
        order_id=f"order-{number}",
        part=part,
        strategy=STRATEGY,
        side=Side.BUY,
        decision_time=START + number * MINUTE,
        time=START + number * MINUTE + 100 + part,
        trade_id=part,
        price=Decimal("1.5"),
        quantity=Decimal(quantity),
        fee=Decimal("0.01"),
        liquidity=Liquidity.TAKER,
    )
    return derived(record, "execution", 10 * number + part, f"trades/{INSTRUMENT}/{part}")


def booked(number: int) -> Message:
    """Return the booking through `number` minutes, of the order a minute before."""
    outcome = Outcome(f"order-{number - 1}", Decimal(10), Decimal(0))
    record = Booked(ACCOUNT, INSTRUMENT, START + number * MINUTE, (outcome,), final=False)
    return derived(record, "execution-booked", number, f"risk/main/main/{number}")


def clock(number: int) -> Message:
    """Return the clock `number` minutes after START."""
    return Message(Clock(INSTRUMENT, START + number * MINUTE, 1, 0))


def gap(first: int, last: int) -> Message:
    """Return a gap of ids in the first minute."""
    return Message(Gap(INSTRUMENT, first, last, START, START + MINUTE, "the line was down"))


def command(name: str) -> Message:
    """Return a halt."""
    return Message(Command(ACCOUNT, name, Action.HALT, "somebody", "to be safe"))


def refusal(number: int) -> Message:
    """Return a refusal of a buy."""
    record = Refusal(
        account=ACCOUNT,
        instrument=INSTRUMENT,
        strategy=STRATEGY,
        time=START + number * MINUTE,
        epoch=1,
        limit=Limit.CASH,
        wanted=Decimal(10),
        allowed=Decimal(0),
        reason="no cash",
        signal="momentum/main/main/1",
    )
    return derived(record, "risk", number)


def halted(number: int) -> Message:
    """Return a halt by the daily loss."""
    time = START + number * MINUTE
    return derived(
        Halted(ACCOUNT, time, 1, Limit.DAILY_LOSS, "lost enough", flatten=True), "risk", number
    )


def risk_report(number: int) -> Message:
    """Return the report of an account that has lost nothing."""
    record = RiskReport(
        account=ACCOUNT,
        time=START + number * MINUTE,
        epoch=1,
        equity=Decimal(115),
        day_start=Decimal(115),
        peak=Decimal(115),
        daily_loss=Decimal(0),
        drawdown=Decimal(0),
        gross_notional=Decimal(15),
        halted=False,
        orders=0,
        refusals=0,
    )
    return derived(record, "risk", number)
