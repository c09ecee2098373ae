"""Steps of prices and trades enter; the records of a run that took them leave, in causal order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import strategies as st

from app.core.decimals import ZERO, add
from app.core.events import (
    Account,
    Allocation,
    AllocationMethod,
    Booked,
    Candle,
    Epoch,
    ExecutionModel,
    Fill,
    Filters,
    Holding,
    Liquidity,
    Mark,
    Order,
    OrderKind,
    Orders,
    Outcome,
    Portfolio,
    Record,
    RiskLimits,
    Side,
    StrategySetting,
)
from app.core.metrics import RunRecords, Summary, measure
from app.core.positions import apply_fills, cash_change, empty_holding, equity

START = 1_570_752_000_000  # 2019-10-11T00:00:00Z
HOUR = 3_600_000
DAY = 24 * HOUR
X, Y = "BINANCE:BTCUSDT", "BINANCE:ETHUSDT"
MACD, MOMENTUM = "macd", "momentum"
PAIRS = [(strategy, name) for strategy in (MACD, MOMENTUM) for name in (X, Y)]


@dataclass(frozen=True, slots=True)
class Trade:
    """A fill wanted: below zero is sold."""

    strategy: str
    instrument: str
    quantity: Decimal
    price: Decimal
    fee: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Step:
    """The marks of a decision time, and what is filled after it."""

    marks: dict[str, Decimal]
    trades: tuple[Trade, ...] = ()


def account(
    name: str = "paper",
    capital: str = "10000",
    *,
    fee: str = "10",
    instruments: tuple[str, ...] = (X, Y),
    parameters: dict[str, str] | None = None,
) -> Account:
    strategies = (StrategySetting(MACD, {}), StrategySetting(MOMENTUM, parameters or {}))
    million = Decimal(10**6)
    limits = RiskLimits(million, million, million, million, Decimal(1), 5_000, allow_short=True)
    model = ExecutionModel(100, Decimal(2), Decimal("0.5"), Decimal(5), Decimal(fee))
    allocation = Allocation(AllocationMethod.EQUAL, Decimal(1), 10)
    return Account(
        name, "USDT", Decimal(capital), instruments, strategies, allocation, limits, model
    )


def epochs(configured: Account, interval: int) -> list[Record]:
    rules = Filters(Decimal("0.01"), Decimal("0.001"), Decimal("0.001"), Decimal(10))
    return [
        Epoch(name, configured, 1, rules, "BTC", interval, 1) for name in configured.instruments
    ]


@dataclass
class Books:
    """The account as the portfolio stage keeps it."""

    cash: Decimal
    marks: dict[str, Decimal] = field(default_factory=dict)
    holdings: dict[tuple[str, str], Holding] = field(default_factory=dict)

    def book(self, fill: Fill) -> None:
        pair = (fill.strategy, fill.instrument)
        self.holdings[pair] = apply_fills(self.holdings.get(pair, empty_holding(*pair)), [fill])
        self.cash = add(self.cash, cash_change(fill))

    def portfolio(self, name: str, time: int, marks: dict[str, Decimal]) -> Portfolio:
        self.marks |= marks
        held = tuple(holding for _, holding in sorted(self.holdings.items()))
        shown = tuple(Mark(each, price, True, 0) for each, price in sorted(marks.items()))
        worth = equity(self.cash, held, self.marks)
        return Portfolio(name, time, 1, self.cash, worth, held, shown, (), ())


def records(
    steps: Sequence[Step],
    of: Account | None = None,
    *,
    interval: int = HOUR,
    start: int = START,
) -> list[Record]:
    """Return what a run makes of the steps; the last step's trades are left out."""
    of = of or account()
    books = Books(of.capital)
    made = epochs(of, interval)
    for number, step in enumerate(steps):
        time = start + number * interval
        made += [_candle(name, time, price, interval) for name, price in sorted(step.marks.items())]
        made.append(books.portfolio(of.name, time, step.marks))
        if number + 1 < len(steps):
            fills = [_fill(of.name, time, at, trade) for at, trade in enumerate(step.trades)]
            for fill in fills:
                books.book(fill)
            made += [record for fill in fills for record in _around(fill, time, interval)]
    return made


def _around(fill: Fill, time: int, interval: int) -> list[Record]:
    """Return an order, the fill that filled it whole, and the word that it did."""
    order = Order(
        fill.order_id, fill.strategy, fill.side, OrderKind.MARKET, fill.quantity, None, None, "s"
    )
    outcome = Outcome(fill.order_id, fill.quantity, ZERO)
    return [
        Orders(fill.account, fill.instrument, time, 1, (order,)),
        fill,
        Booked(fill.account, fill.instrument, time + interval, (outcome,), final=False),
    ]


def _fill(name: str, time: int, at: int, trade: Trade) -> Fill:
    return Fill(
        account=name,
        instrument=trade.instrument,
        order_id=f"{name}/{trade.instrument}/{trade.strategy}/{time}/{at}",
        part=1,
        strategy=trade.strategy,
        side=Side.BUY if trade.quantity > 0 else Side.SELL,
        decision_time=time,
        time=time + 100 + at,
        trade_id=at + 1,
        price=trade.price,
        quantity=abs(trade.quantity),
        fee=trade.fee,
        liquidity=Liquidity.TAKER,
    )


def _candle(instrument: str, time: int, price: Decimal, interval: int) -> Candle:
    one = Decimal(1)
    return Candle(
        instrument, interval, time, price, price, price, price, one, price, one, 1, 1, 1,
        complete=True, age=0, revision=0,
    )  # fmt: skip


def fed(made: Sequence[Record]) -> RunRecords:
    taken = RunRecords()
    for record in made:
        taken.take(record)
    return taken


def measured(steps: Sequence[Step], of: Account | None = None, *, interval: int = HOUR) -> Summary:
    return measure(fed(records(steps, of, interval=interval)))


def walk(count: int, seed: int = 1, busy: float = 0.1) -> list[Step]:
    """Return a drawn run: prices that wander, and now and then a trade."""
    draw = random.Random(seed)
    marks = {X: Decimal(100), Y: Decimal(50)}
    steps = []
    for _ in range(count):
        for name, price in marks.items():
            moved = float(price) * (1 + draw.gauss(0.0002, 0.01))
            marks[name] = max(Decimal("0.01"), Decimal(str(round(moved, 2))))
        trades = tuple(
            Trade(strategy, name, Decimal(draw.choice((-20, -10, 10, 20))), marks[name],
                  Decimal(draw.randrange(500)).scaleb(-2))
            for strategy, name in PAIRS
            if draw.random() < busy
        )  # fmt: skip
        steps.append(Step(dict(marks), trades))
    return steps


PRICES = st.integers(1, 10**6).map(lambda cents: Decimal(cents).scaleb(-2))


@st.composite
def runs(draw: st.DrawFn, least: int = 1, most: int = 12) -> list[Step]:
    """Draw a run of few steps with any trades."""
    quantity = st.integers(-40, 40).filter(bool).map(lambda number: Decimal(number).scaleb(-3))
    fee = st.integers(0, 10**6).map(lambda number: Decimal(number).scaleb(-8))
    trade = st.builds(
        lambda pair, size, price, paid: Trade(*pair, size, price, paid),
        st.sampled_from(PAIRS), quantity, PRICES, fee,
    )  # fmt: skip
    step = st.builds(
        lambda x, y, trades: Step({X: x, Y: y}, tuple(trades)),
        PRICES, PRICES, st.lists(trade, max_size=4),
    )  # fmt: skip
    return draw(st.lists(step, min_size=least, max_size=most))


def unmoved() -> Summary:
    """Return a run in which nothing moved and nothing was traded."""
    return measured([Step({X: Decimal(100), Y: Decimal(50)})] * 3)
