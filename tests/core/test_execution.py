"""Execution: the same fills whichever came first, exact, for each account by itself."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.events import (
    Booked,
    Clock,
    Epoch,
    ExecutionModel,
    Fill,
    Filters,
    Inbound,
    Join,
    Leave,
    Liquidity,
    Message,
    Order,
    OrderKind,
    Orders,
    Output,
    Record,
    Side,
)
from app.core.execution import ExecutionMachine, ExecutionState
from app.core.fills import Terms, fee, offered, slipped
from app.core.flow import HoleError
from app.core.tape import StreamError, Tape
from tests.core import builders, streams
from tests.core.builders import INSTRUMENT, MINUTE, START, clock, gap, inputs, join, order, trades
from tests.core.driver import Driver, survives
from tests.core.streams import FIRST_ID, INTERVAL, Happening, Trade

SELL, LIMIT, STOP = Side.SELL, OrderKind.LIMIT, OrderKind.STOP
STOP_LIMIT = OrderKind.STOP_LIMIT


def machine(state: ExecutionState | None = None) -> ExecutionMachine:
    return ExecutionMachine(INSTRUMENT, state)


def sent(number: int, each: Orders) -> Message:
    return builders.derived(
        each, number, stage="risk", source=each.account, destination=INSTRUMENT, origin="x/y/z/1"
    )


class Run:
    """A machine and its two topics, fed in the order of the calls."""

    def __init__(self, *opening: Record) -> None:
        self.machine = machine()
        self._offsets = {"trades": 0, "orders": 0}
        self._numbers: dict[str, int] = defaultdict(int)
        self.outputs: list[Output] = []
        self.stream(*(opening or (builders.epoch(), join(MINUTE))))

    def stream(self, *records: Record) -> list[Any]:
        return [each for record in records for each in self._take("trades", Message(record))]

    def orders(self, time: int, *each: Order, account: str = "paper", epoch: int = 1) -> list[Any]:
        self._numbers[account] += 1
        record = builders.orders(time, *each, account=account, epoch=epoch)
        return self._take("orders", sent(self._numbers[account], record))

    def _take(self, topic: str, message: Message) -> list[Any]:
        inbound = Inbound(message, topic, 0, self._offsets[topic])
        self._offsets[topic] += 1
        outputs = self.machine.take(inbound)
        self.outputs += outputs
        return [output.message.record for output in outputs]


def row(trade_id: int, time: int, price: str, quantity: str = "1") -> Any:
    """Return a trade at `time` after the first decision time."""
    return (trade_id, MINUTE + time, price, quantity)


def filled(*each: Order, rows: Sequence[Any], **changes: Any) -> list[Fill]:
    account = builders.account(execution=builders.model(**changes))
    run = Run(builders.epoch(of=account), join(MINUTE))
    run.orders(MINUTE, *each)
    return [one for one in run.stream(trades(*rows)) if isinstance(one, Fill)]


def test_a_market_order_is_filled_by_the_trades_after_its_latency() -> None:
    run = Run()
    assert run.orders(MINUTE, order("a", "1.5")) == []
    rows = row(1, 99, "9", "1"), row(2, 100, "10", "1"), row(3, 200, "11", "1"), row(4, 300, "12")
    assert run.stream(trades(*rows)) == [
        Fill(
            account="paper",
            instrument=INSTRUMENT,
            order_id="a",
            part=part,
            strategy="momentum",
            side=Side.BUY,
            decision_time=START + MINUTE,
            time=START + MINUTE + time,
            trade_id=trade_id,
            price=Decimal(price),
            quantity=Decimal(quantity),
            fee=Decimal(0),
            liquidity=Liquidity.TAKER,
        )
        for part, time, trade_id, price, quantity in ((1, 100, 2, 10, 1), (2, 200, 3, 11, "0.5"))
    ]
    assert run.outputs[0].topic == "fills"
    assert run.outputs[0].key == "paper"
    assert run.outputs[0].message.origin == f"trades/{INSTRUMENT}/2"
    assert str(run.outputs[0].message.identity) == f"execution/{INSTRUMENT}/paper/1"


def test_it_is_booked_when_the_trades_have_passed_the_next_decision_time() -> None:
    run = Run()
    run.orders(MINUTE, order("b", "1"), order("a", "3"))
    run.stream(trades(row(1, 200, "10", "2")))
    (booked,) = run.stream(clock(2 * MINUTE, 1))
    assert isinstance(booked, Booked)
    assert (booked.account, booked.instrument) == ("paper", INSTRUMENT)
    assert (booked.time, booked.final) == (START + 2 * MINUTE, False)
    outcomes = [(each.order_id, each.filled, each.cancelled) for each in booked.outcomes]
    assert outcomes == [("b", 0, 1), ("a", 2, 1)]
    assert run.outputs[-1].message.origin == f"risk/paper/{INSTRUMENT}/1"


def test_the_order_may_come_after_its_trades() -> None:
    run = Run()
    rows = row(1, 200, "10"), row(2, 59_999, "11"), row(3, 60_000, "12")
    assert run.stream(trades(*rows)) == []
    found = run.orders(MINUTE, order("a", "9"))
    assert [getattr(one, "trade_id", "booked") for one in found] == [1, 2, "booked"]


def test_trades_that_are_late_or_of_a_gap_fill_nothing() -> None:
    run = Run()
    run.orders(MINUTE, order("a", "9"))
    run.stream(gap(1, 2, MINUTE, MINUTE + 500))
    assert run.stream(trades(row(1, 300, "1"))) == []
    assert len(run.stream(trades(row(3, 400, "1")))) == 1
    assert len(run.stream(clock(2 * MINUTE, 3))) == 1
    assert run.stream(trades(row(4, 500, "1"))) == []
    assert run.stream(trades(row(2, 500, "1"))) == []


def test_slippage_and_fees_are_rounded_against_the_account() -> None:
    costs = {"slippage": Decimal(5), "taker_fee": Decimal("7.5")}
    each = order("a", "1"), order("b", "1", side=SELL)
    bought, sold = filled(*each, rows=[row(1, 100, "10.01", "2")], **costs)
    # 10.01 x 1.0005 = 10.015005 and 10.01 x 0.9995 = 10.004995, in ticks of a cent.
    assert (bought.price, sold.price) == (Decimal("10.02"), Decimal("10.00"))
    assert (bought.fee, sold.fee) == (Decimal("0.007515"), Decimal("0.0075"))


def test_a_price_never_falls_below_a_tick() -> None:
    each = order("a", "1", side=SELL)
    assert filled(each, rows=[row(1, 100, "0.01")], slippage=Decimal(5000))[0].price == Decimal(
        "0.01"
    )


def test_a_fee_is_rounded_up() -> None:
    assert fee(Decimal("0.001"), Decimal("0.001"), Decimal("0.1")) == Decimal("0.00000001")
    assert fee(Decimal(10), Decimal(1), Decimal(0)) == 0


def test_orders_of_one_account_share_the_participation_in_the_order_of_their_ids() -> None:
    each = order("b", "5"), order("a", "3.0005"), order("c", "5", side=SELL)
    found = filled(*each, rows=[row(1, 100, "10", "20"), row(2, 101, "10", "20")],
                   participation=Decimal("0.25"))  # fmt: skip
    assert [(one.order_id, one.quantity, one.part) for one in found] == [
        ("a", 3, 1),
        ("b", 2, 1),
        ("b", 3, 2),
        ("c", 2, 1),
    ]


def test_less_than_a_lot_is_no_fill() -> None:
    each = order("a", "1")
    assert filled(each, rows=[row(1, 100, "10", "0.0019")], participation=Decimal("0.5")) == []
    assert filled(each, rows=[row(1, 100, "10", "1")], participation=Decimal(0)) == []


def test_a_limit_order_rests_and_trades_at_its_limit() -> None:
    costs = {"slippage": Decimal(5), "taker_fee": Decimal(9), "maker_fee": Decimal(2)}
    each = (
        order("a", "9", kind=LIMIT, limit="10"),
        order("b", "9", side=SELL, kind=LIMIT, limit="11"),
    )
    rows = [row(k, 100 + k, price) for k, price in enumerate(("10.5", "10", "9", "11", "12"), 1)]
    found = filled(*each, rows=rows, **costs)
    assert [(one.order_id, one.trade_id, one.price) for one in found] == [
        ("a", 2, 10),
        ("a", 3, 10),
        ("b", 4, 11),
        ("b", 5, 11),
    ]
    assert {one.liquidity for one in found} == {Liquidity.MAKER}
    assert found[0].fee == Decimal("0.002")


def test_a_stop_order_is_set_going_by_one_trade_and_filled_by_the_next() -> None:
    each = order("a", "1", kind=STOP, stop="11"), order("b", "1", side=SELL, kind=STOP, stop="9")
    prices = ("9.5", "11", "10", "9", "8", "8")
    found = filled(*each, rows=[row(k, 100 + k, price) for k, price in enumerate(prices, 1)])
    assert [(one.order_id, one.trade_id, one.price) for one in found] == [("a", 3, 10), ("b", 5, 8)]
    assert {one.liquidity for one in found} == {Liquidity.TAKER}


def test_a_trade_before_the_latency_sets_no_stop_going() -> None:
    each = order("a", "1", kind=STOP, stop="11")
    assert filled(each, rows=[row(1, 99, "12"), row(2, 100, "10"), row(3, 101, "10")]) == []


def test_a_stop_limit_order_becomes_a_limit_order() -> None:
    each = order("a", "2", kind=STOP_LIMIT, stop="11", limit="10")
    prices = ("9", "11", "10.5", "9.9", "9.9")
    found = filled(each, rows=[row(k, 100 + k, price) for k, price in enumerate(prices, 1)])
    assert [(one.trade_id, one.price, one.liquidity) for one in found] == [
        (4, 10, Liquidity.MAKER),
        (5, 10, Liquidity.MAKER),
    ]


def test_the_first_orders_may_be_for_later_than_the_join() -> None:
    run = Run()
    run.stream(trades(row(1, 200, "10")), clock(3 * MINUTE, 1), trades(row(2, 150_000, "11")))
    found = run.orders(3 * MINUTE, order("a", "9"))
    assert [(one.trade_id, one.price) for one in found] == [(2, 11)]


def test_orders_wait_for_their_epoch_and_join() -> None:
    run = Run(builders.History(INSTRUMENT, MINUTE, (1,), *[(Decimal(1),)] * 5))
    run.orders(MINUTE, order("a", "1"))
    assert run.machine.waiting() == "epoch 1 of paper"
    run.stream(builders.epoch())
    assert run.machine.waiting() == f"the join of paper for {START + MINUTE}"
    run.stream(join(MINUTE))
    assert run.machine.waiting() == ""
    assert len(run.stream(trades(row(1, 100, "10")))) == 1


def test_it_says_whose_orders_are_overdue() -> None:
    run = Run()
    run.stream(clock(MINUTE, 0))
    assert run.machine.waiting() == ""
    run.stream(clock(2 * MINUTE, 0))
    assert run.machine.waiting() == f"orders of paper for {START + MINUTE} or later"
    run.orders(MINUTE)
    run.stream(trades((5, 2 * MINUTE, "1", "1")))
    assert run.machine.waiting() == "trade 1, before 5"


def test_each_epoch_has_its_own_terms() -> None:
    run = Run()
    dear = builders.account(execution=builders.model(slippage=Decimal(100)))
    run.stream(builders.epoch(2, dear))
    run.orders(MINUTE, order("a", "1"))
    run.orders(2 * MINUTE, order("b", "1"), epoch=2)
    found = run.stream(trades(row(1, 100, "10"), row(2, 60_100, "10")))
    assert [one.price for one in found if isinstance(one, Fill)] == [10, Decimal("10.1")]
    run.stream(clock(3 * MINUTE, 2))
    state = run.machine.durable()
    assert list(state.accounts["paper"].terms) == ["2"]


def test_a_leave_ends_with_a_last_booked_and_nothing_is_awaited_then() -> None:
    run = Run()
    run.stream(builders.leave(3 * MINUTE), trades(row(1, 70_000, "10")))
    run.stream(clock(9 * MINUTE, 1))
    booked = [*run.orders(MINUTE), *run.orders(2 * MINUTE, order("a", "1"))]
    assert [one.final for one in booked if isinstance(one, Booked)] == [False, True]
    assert run.machine.time == START + 9 * MINUTE
    assert run.machine.waiting() == ""
    assert run.machine.needs() == {}


def test_an_account_may_join_again() -> None:
    run = Run()
    run.stream(builders.leave(2 * MINUTE), clock(2 * MINUTE, 0))
    run.stream(
        join(50 * MINUTE, 40, epoch=2), builders.epoch(2), trades((40, 50 * MINUTE + 100, "7", "1"))
    )
    found = [*run.orders(MINUTE), *run.orders(50 * MINUTE, order("a", "1"), epoch=2)]
    assert [one.TYPE for one in found] == ["booked", "fill"]
    assert found[0].final


def test_a_part_that_was_never_used_is_passed_over() -> None:
    run = Run()
    run.stream(builders.leave(2 * MINUTE), join(3 * MINUTE, epoch=2))
    run.orders(3 * MINUTE, order("a", "1"))
    found = run.stream(trades((1, 3 * MINUTE + 100, "7", "1")), clock(4 * MINUTE, 1))
    assert [one.TYPE for one in found] == ["fill", "booked"]
    assert not found[1].final


@pytest.mark.parametrize("time", [0, MINUTE + 1])
def test_orders_for_no_decision_time_that_is_due_are_refused(time: int) -> None:
    run = Run()
    run.stream(clock(2 * MINUTE, 0))
    with pytest.raises(StreamError, match="or later were due"):
        run.orders(time)


def test_lost_orders_are_refused() -> None:
    one = machine()
    with pytest.raises(HoleError):
        one.take(Inbound(sent(2, builders.orders(MINUTE)), "orders", 0, 0))


def test_a_foreign_record_is_refused() -> None:
    with pytest.raises(RuntimeError, match="does not belong there"):
        Run(Booked("paper", INSTRUMENT, START, (), final=False))


def test_it_needs_the_trades_and_orders_of_what_is_not_booked() -> None:
    run = Run()  # Offsets 0 and 1.
    run.stream(trades(row(1, -60_000, "1"), row(2, 0, "1"), row(3, 50, "1")))
    assert run.machine.needs() == {"trades": 2}
    run.orders(MINUTE)
    assert run.machine.needs() == {"trades": 2, "orders": 0}
    run.stream(clock(2 * MINUTE, 3))
    assert run.machine.needs() == {}
    run.stream(gap(4, 4, 2 * MINUTE, 2 * MINUTE), trades(row(5, 60_000, "1")))
    assert run.machine.needs() == {"trades": 4}


def test_the_trades_before_the_slowest_account_are_let_go() -> None:
    shadow = builders.epoch(of=builders.account("shadow"))
    run = Run(builders.epoch(), join(MINUTE), shadow, join(2 * MINUTE, account="shadow"))
    run.stream(clock(9 * MINUTE, 0))
    run.orders(MINUTE)
    assert run.machine.time == START + 2 * MINUTE
    run.orders(2 * MINUTE)
    assert run.machine.time == START + 2 * MINUTE
    run.orders(2 * MINUTE, account="shadow")
    assert run.machine.time == START + 3 * MINUTE


def test_trades_that_wait_for_orders_alone_are_counted() -> None:
    run = Run()
    run.stream(trades(row(1, 0, "1"), row(2, 50, "1")))
    assert run.machine.ahead() == 2
    run.orders(MINUTE)
    assert run.machine.ahead() is None  # the orders are there: they need trades
    run.stream(trades(row(3, 60_000, "1")), clock(4 * MINUTE, 3), trades(row(4, 180_000, "1")))
    assert run.machine.ahead() == 2
    run.orders(2 * MINUTE)
    assert run.machine.ahead() == 1
    run.orders(3 * MINUTE)
    assert run.machine.ahead() == 1
    run.orders(4 * MINUTE)
    assert run.machine.ahead() is None


def test_trades_that_every_account_has_met_are_let_go() -> None:
    shadow = builders.epoch(of=builders.account("shadow"))
    run = Run(builders.epoch(), join(MINUTE), shadow, join(MINUTE, account="shadow"))
    run.stream(trades(row(1, 0, "1"), row(2, 50, "1")))
    run.orders(MINUTE)
    run.stream(trades(row(3, 60, "1")))
    assert run.machine._held == 3  # the shadow's orders are still to come
    run.orders(MINUTE, account="shadow")
    run.stream(trades(row(4, 70, "1")))
    assert run.machine._held == 0
    run.stream(trades(row(5, 60_000, "1"), row(6, 60_001, "1")))
    assert run.machine._held == 2


def test_trades_before_a_join_wait_for_nothing() -> None:
    run = Run(builders.epoch())
    run.stream(trades(row(1, 0, "1"), row(2, 50, "1")))
    assert run.machine.ahead() == 0
    run.stream(join(3 * MINUTE))
    assert run.machine.ahead() is None


def test_orders_for_later_than_the_stream_has_come_need_more_of_it() -> None:
    run = Run()
    run.stream(trades(row(1, 0, "1")), clock(4 * MINUTE, 1))
    assert run.machine.ahead() == 1
    run.orders(6 * MINUTE)
    assert run.machine.ahead() is None


# --- What happened, computed anew in fractions --------------------------------------------------


def fresh_trades(happened: Sequence[Happening], first: int) -> tuple[list[Trade], int]:
    """Return the trades that came in time, and the end of the last closed interval."""
    closed, fresh = first - INTERVAL, []
    for one in happened:
        if isinstance(one, Trade) and not one.recovered and one.time >= closed:
            fresh.append(one)
        if isinstance(one, Clock) or (isinstance(one, Trade) and not one.recovered):
            closed = max(closed, one.time // INTERVAL * INTERVAL)
    return fresh, closed


def in_steps(value: Fraction, step: Decimal, *, up: bool) -> Fraction:
    steps = value / Fraction(step)
    return (math.ceil(steps) if up else math.floor(steps)) * Fraction(step)


def traded_price(each: Order, price: Fraction, terms: Epoch) -> Fraction:
    if each.limit_price is not None:
        return Fraction(each.limit_price)
    buy = each.side is Side.BUY
    share = Fraction(terms.account.execution.slippage) / 10_000
    tick = terms.filters.tick_size
    moved = in_steps(price * (1 + share if buy else 1 - share), tick, up=buy)
    return max(moved, Fraction(tick))


def beyond(price: Fraction, bound: Decimal | None, *, rising: bool) -> bool:
    if bound is None:
        return True
    return price >= Fraction(bound) if rising else price <= Fraction(bound)


def expected_fills(held: Orders, fresh: Sequence[Trade], terms: Epoch) -> list[tuple[Any, ...]]:
    rules = terms.account.execution
    left = {each.order_id: Fraction(each.quantity) for each in held.orders}
    going = {each.order_id for each in held.orders if each.stop_price is None}
    parts: dict[str, int] = defaultdict(int)
    found = []
    for one in fresh:
        if not held.time + rules.latency <= one.time < held.time + INTERVAL:
            continue
        price, offer = Fraction(one.price), Fraction(one.quantity) * Fraction(rules.participation)
        for each in sorted(held.orders, key=lambda each: each.order_id):
            name, buy = each.order_id, each.side is Side.BUY
            if name not in going:
                if beyond(price, each.stop_price, rising=buy):
                    going.add(name)
                continue
            if not beyond(price, each.limit_price, rising=not buy):
                continue
            size = in_steps(min(offer, left[name]), terms.filters.lot_size, up=False)
            if size:
                offer, left[name] = offer - size, left[name] - size
                parts[name] += 1
                at = traded_price(each, price, terms)
                rate = rules.taker_fee if each.limit_price is None else rules.maker_fee
                cost = in_steps(at * size * Fraction(rate) / 10_000, Decimal("1e-8"), up=True)
                found.append((name, parts[name], one.id, one.time, at, size, cost))
    return [*found, *((name, quantity) for name, quantity in left.items())]


def made(fill: Fill) -> tuple[Any, ...]:
    return (fill.order_id, fill.part, fill.trade_id, fill.time, Fraction(fill.price),
            Fraction(fill.quantity), Fraction(fill.fee))  # fmt: skip


# --- Scenarios: a noisy stream, two accounts, orders for every decision time --------------------

MODELS = st.builds(
    ExecutionModel,
    latency=st.sampled_from([1, 100, 400, 999]),
    slippage=st.sampled_from(["0", "5", "12.34", "3000"]).map(Decimal),
    participation=st.sampled_from(["1", "0.5", "0.13", "0"]).map(Decimal),
    maker_fee=st.sampled_from(["0", "1", "7.77"]).map(Decimal),
    taker_fee=st.sampled_from(["0", "10", "3.3333"]).map(Decimal),
)
FILTERS = st.builds(
    Filters,
    tick_size=st.sampled_from(["0.01", "0.25", "0.00000001"]).map(Decimal),
    lot_size=st.sampled_from(["0.001", "0.7", "5"]).map(Decimal),
    minimum_quantity=st.just(Decimal(0)),
    minimum_notional=st.just(Decimal(0)),
)


@dataclass
class Part:
    """One account's part in a scenario."""

    name: str
    epochs: list[Epoch]
    join: Join
    orders: list[Orders]
    leave: int | None = None


@dataclass
class Scenario:
    """What happened, the log of it, and both topics."""

    happened: list[Happening]
    stream: list[Record]
    parts: list[Part]
    orders: list[Message]

    def topics(self) -> dict[str, list[Inbound]]:
        return {"trades": inputs("trades", self.stream), "orders": inputs("orders", self.orders)}


@st.composite
def some_orders(draw: st.DrawFn, part: str, time: int) -> tuple[Order, ...]:
    each = []
    for name in draw(st.lists(st.sampled_from("abc"), unique=True, max_size=3)):
        kind = draw(st.sampled_from(OrderKind))
        limited, stopped = kind in (LIMIT, STOP_LIMIT), kind in (STOP, STOP_LIMIT)
        each.append(
            Order(
                order_id=f"{part}/{time}/{name}",
                strategy="momentum",
                side=draw(st.sampled_from(Side)),
                kind=kind,
                quantity=draw(streams.QUANTITIES),
                limit_price=draw(streams.PRICES) if limited else None,
                stop_price=draw(streams.PRICES) if stopped else None,
                signal="s",
            )
        )
    return tuple(each)


@st.composite
def parts(draw: st.DrawFn, name: str, closed: int) -> Part:
    accounts = [builders.account(name, execution=draw(MODELS)) for _ in range(2)]
    epochs = [
        builders.epoch(1 + k, account, rules=draw(FILTERS), interval=INTERVAL)
        for k, account in enumerate(accounts)
    ]
    begin = draw(st.integers(1, 3)) * INTERVAL
    first = START + begin + draw(st.integers(0, 2)) * INTERVAL
    change = draw(st.integers(0, 5)) * INTERVAL + first
    times = range(first, closed + 2 * INTERVAL, INTERVAL)
    orders = [
        Orders(name, INSTRUMENT, time, 1 if time < change else 2, draw(some_orders(name, time)))
        for time in times
    ]
    return Part(name, epochs, join(begin, FIRST_ID, account=name), orders)


@st.composite
def scenarios(draw: st.DrawFn, most: int = 25) -> Scenario:
    happened = draw(streams.happenings(most))
    first = START + INTERVAL
    each = [draw(parts(name, fresh_trades(happened, first)[1])) for name in ("paper", "shadow")]
    each[0].join = replace(each[0].join, time=first)
    log = draw(streams.logs(happened))
    stream = [record for part in each for record in (part.epochs[0], part.join)]
    stream += _with_changes(draw, log, each)
    return Scenario(happened, stream, each, _merged(draw, each))


def _with_changes(draw: st.DrawFn, log: list[Record], each: list[Part]) -> list[Record]:
    """Put each account's second epoch anywhere; with one, perhaps, a leave."""
    tape = Tape()
    tape.adopt(each[0].epochs[0])
    for part in each:
        tape.join(part.join)
    places = [(draw(st.integers(0, len(log))), part) for part in each]
    leaving = draw(st.sampled_from([None, *each]))
    found: list[Record] = []
    for place, record in enumerate((*log, None)):
        for at, part in places:
            if at == place:
                found.append(part.epochs[1])
                if part is leaving:
                    found.append(_leave(draw, part, tape.state.closed))
        if record is not None:
            found.append(record)
            list(tape.take(record))
    return found


def _leave(draw: st.DrawFn, part: Part, closed: int) -> Leave:
    begin = max(closed, part.join.time)
    part.leave = begin + draw(st.integers(1, 4)) * INTERVAL
    part.orders = [each for each in part.orders if each.time < part.leave]
    return Leave(INSTRUMENT, part.name, 2, part.leave, "removed")


def _merged(draw: st.DrawFn, each: list[Part]) -> list[Message]:
    """Merge the accounts' orders anyhow, each in its own order, some of them twice."""
    waiting = [[sent(1 + k, one) for k, one in enumerate(part.orders)] for part in each]
    merged: list[Message] = []
    while any(waiting):
        queue = draw(st.sampled_from([queue for queue in waiting if queue]))
        merged.append(queue.pop(0))
        if draw(st.integers(0, 9)) == 0:
            merged.append(draw(st.sampled_from(merged)))
    return merged


def driven(scenario: Scenario, seed: int) -> Driver:
    driver = Driver(machine, ExecutionState, scenario.topics(), seed)
    driver.run()
    return driver


def of(driver: Driver, account: str) -> list[bytes]:
    """Return the bytes of what one account was sent, in order."""
    return [raw for name, raw in driver.outputs.items() if f"/{account}/" in name]


@settings(max_examples=60, deadline=None)
@given(scenarios(), st.integers(0, 99))
def test_fills_are_those_of_what_happened_whichever_came_first(
    scenario: Scenario, seed: int
) -> None:
    driver = driven(scenario, seed)
    for part in scenario.parts:
        fresh, closed = fresh_trades(scenario.happened, START + INTERVAL)
        records = [each.message.record for each in driver.order if each.key == part.name]
        fills = [each for each in records if isinstance(each, Fill)]
        booked = {each.time: each for each in records if isinstance(each, Booked)}
        held = [each for each in part.orders if each.time <= closed]
        assert list(booked) == [each.time + INTERVAL for each in held if each.time < closed]
        for orders in held:
            terms = part.epochs[orders.epoch - 1]
            expected = expected_fills(orders, fresh, terms)
            count = len(orders.orders)
            of_this = [made(each) for each in fills if each.decision_time == orders.time]
            assert of_this == expected[: len(expected) - count]
            if orders.time < closed:
                one = booked[orders.time + INTERVAL]
                assert one.final == (one.time == part.leave)
                assert [(each.order_id, Fraction(each.cancelled)) for each in one.outcomes] == (
                    expected[len(expected) - count :]
                )
                assert [each.filled + each.cancelled for each in one.outcomes] == [
                    each.quantity for each in orders.orders
                ]
        assert len(fills) == sum(each.decision_time in {one.time for one in held} for each in fills)


@settings(max_examples=40, deadline=None)
@given(scenarios(), st.integers(0, 99))
def test_it_always_knows_how_many_trades_wait_for_orders(scenario: Scenario, seed: int) -> None:
    driver = Driver(machine, ExecutionState, scenario.topics(), seed)
    while driver.step():
        execution = cast("ExecutionMachine", driver.machine)
        assert execution._held == sum(each.trades() for each in execution._intervals.values())


@settings(max_examples=40, deadline=None)
@given(scenarios())
def test_no_interleaving_of_the_topics_changes_a_byte(scenario: Scenario) -> None:
    one = driven(scenario, 0)
    for seed in range(1, 5):
        assert driven(scenario, seed).outputs == one.outputs


@settings(max_examples=30, deadline=None)
@given(scenarios())
def test_no_account_depends_on_another(scenario: Scenario) -> None:
    together = driven(scenario, 0)
    paper = scenario.parts[0].name
    alone = replace(
        scenario,
        stream=[record for record in scenario.stream if not _of_another(record, paper)],
        orders=[each for each in scenario.orders if not _of_another(each.record, paper)],
    )
    assert of(driven(alone, 1), paper) == of(together, paper)


def _of_another(record: Record, account: str) -> bool:
    if isinstance(record, Epoch):
        return record.account.name != account
    return isinstance(record, Join | Leave | Orders) and record.account != account


@settings(max_examples=12, deadline=None)
@given(scenarios(15), st.integers(0, 999))
def test_a_crash_after_any_record_changes_no_byte(scenario: Scenario, seed: int) -> None:
    whole = survives(machine, ExecutionState, scenario.topics(), seed)
    assert driven(scenario, seed + 1).outputs == whole.outputs


@pytest.mark.parametrize("seed", range(8))
def test_a_crash_after_a_clock_that_passed_several_intervals_changes_no_byte(seed: int) -> None:
    """The orders of what it passed come one by one, and it must pass them again each time."""
    first = Trade(FIRST_ID, START, Decimal(10), Decimal(1), buyer_maker=False)
    stream: list[Record] = [
        builders.epoch(interval=INTERVAL),
        join(INTERVAL, FIRST_ID),
        streams.record([first]),
        Clock(builders.INSTRUMENT, START + 5 * INTERVAL, FIRST_ID, 0),
    ]
    queue = [sent(k, builders.orders(k * INTERVAL, order(f"a/{k}", "1"))) for k in range(1, 5)]
    topics = {"trades": inputs("trades", stream), "orders": inputs("orders", queue)}
    whole = survives(machine, ExecutionState, topics, seed)
    assert len(whole.outputs) == len(queue)


@pytest.mark.parametrize("seed", range(3))
def test_a_crash_between_two_accounts_changes_no_byte(seed: int) -> None:
    """One account is booked while the other is in the middle of its fills."""
    each = [
        Trade(FIRST_ID + k, START + 300 * k, Decimal(10), Decimal(1), buyer_maker=False)
        for k in range(20)
    ]
    head: list[Record] = []
    queue: list[Message] = []
    for name in ("paper", "shadow"):
        head.append(builders.epoch(of=builders.account(name), interval=INTERVAL))
        head.append(join(INTERVAL, FIRST_ID, account=name))
    for k in range(1, 6):
        for name in ("paper", "shadow"):
            held = builders.orders(k * INTERVAL, order(f"{name}/{k}", "9"), account=name)
            queue.append(sent(k, held))
    stream = [*head, *(streams.record(each[k : k + 2]) for k in range(0, len(each), 2))]
    topics = {"trades": inputs("trades", stream), "orders": inputs("orders", queue)}
    whole = survives(machine, ExecutionState, topics, seed)
    assert len(whole.outputs) > 30


@settings(max_examples=25, deadline=None)
@given(scenarios(), st.data())
def test_two_cuts_of_one_stream_give_the_same_bytes(
    scenario: Scenario, data: st.DataObject
) -> None:
    each = [replace(part, leave=None) for part in scenario.parts]
    head = [record for part in each for record in (part.epochs[0], part.join, part.epochs[1])]
    cuts = [
        replace(scenario, stream=[*head, *data.draw(streams.logs(scenario.happened))])
        for _ in range(2)
    ]
    assert driven(cuts[0], 0).outputs == driven(cuts[1], 1).outputs


@settings(max_examples=60, deadline=None)
@given(streams.PRICES, streams.QUANTITIES, MODELS, FILTERS)
def test_what_a_trade_offers_and_costs_is_never_in_the_accounts_favour(
    price: Decimal, quantity: Decimal, model: ExecutionModel, rules: Filters
) -> None:
    terms = Terms(model, rules)
    assert slipped(price, Side.BUY, terms) >= price
    assert slipped(price, SELL, terms) <= max(price, rules.tick_size)
    assert 0 <= offered(quantity, terms) <= quantity
    exact = Fraction(price) * Fraction(quantity) * Fraction(model.taker_fee) / 10_000
    paid = Fraction(fee(price, quantity, model.taker_fee))
    assert 0 <= paid - exact < Fraction(1, 10**8)


def test_without_rules_quantities_and_prices_are_as_fine_as_what_enters() -> None:
    free = builders.epoch(
        of=builders.account(
            execution=builders.model(slippage=Decimal("0.0001"), participation=Decimal("0.1"))
        ),
        rules=builders.filters("0", "0"),
    )
    run = Run(free, join(MINUTE))
    run.orders(MINUTE, order("a", "1"))
    (fill,) = run.stream(trades(row(1, 100, "0.1", "0.000000000011")))
    assert (fill.price, fill.quantity) == (Decimal("0.100000001"), Decimal("0.000000000001"))
