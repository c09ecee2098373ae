"""The risk monitor: every limit on its own, all of them together, and halts."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.clearance import Clearance
from app.core.events import (
    Account,
    Action,
    Allocated,
    Filters,
    Halted,
    Inbound,
    Instruction,
    Limit,
    Mark,
    Message,
    Order,
    OrderKind,
    Orders,
    Output,
    Record,
    Refusal,
    Resumed,
    RiskReport,
    Side,
    Target,
)
from app.core.halts import UNWATCHED
from app.core.limits import LIMITS, unit_cost
from app.core.risk import RiskMachine
from app.core.rules import ForeignRecordError, Rules
from tests.core.account_builders import (
    ACCOUNT,
    FILTERS,
    MACD,
    MOMENTUM,
    World,
    X,
    Y,
    account,
    at,
    epoch,
    feed,
    join,
    numbered,
    with_repeats,
)

NO_FILTERS = Filters(Decimal(0), Decimal(0), Decimal(0), Decimal(0))


def target(quantity: str, held: str = "0", strategy: str = MOMENTUM, instrument: str = X) -> Target:
    return Target(strategy, instrument, Decimal(quantity), Decimal(held), f"signal of {strategy}")


def allocated(
    *targets: Target,
    minute: int = 1,
    equity: str = "10000",
    cash: str | None = None,
    marks: Sequence[Mark] | None = None,
    commands: Sequence[Action] = (),
) -> Allocated:
    names = sorted({each.instrument: None for each in targets} or {X: None})
    return Allocated(
        account=ACCOUNT,
        time=at(minute),
        epoch=1,
        equity=Decimal(equity),
        cash=Decimal(equity if cash is None else cash),
        weights=(),
        performance=(),
        targets=tuple(sorted(targets, key=lambda each: (each.strategy, each.instrument))),
        marks=tuple(Mark(name, Decimal(100), True, 0) for name in names)
        if marks is None
        else tuple(marks),
        instructions=tuple(Instruction(action, f"command/{action}") for action in commands),
    )


def mark(price: str | None = "100", *, complete: bool = True, age: int = 0) -> Mark:
    return Mark(X, None if price is None else Decimal(price), complete, age)


def outputs(
    records: Iterable[Record], configured: Account | None = None, **changes: Any
) -> list[Record]:
    """Return what a new machine makes of decision times."""
    rules = account(instruments=(X, Y)) if configured is None else configured
    epochs = [epoch(rules, name, **changes) for name in rules.instruments]
    log = numbered("allocation", ACCOUNT, [*epochs, *records])
    return feed(RiskMachine(ACCOUNT, None), log, "allocations")


def ordered(made: Iterable[Record]) -> list[tuple[str, str, Side, Decimal]]:
    return [
        (order.strategy, each.instrument, order.side, order.quantity)
        for each in made
        if isinstance(each, Orders)
        for order in each.orders
    ]


def refused(made: Iterable[Record]) -> list[tuple[Limit, Decimal, Decimal]]:
    return [(each.limit, each.wanted, each.allowed) for each in made if isinstance(each, Refusal)]


def of_type(made: Iterable[Record], cls: type) -> list[Any]:
    return [each for each in made if isinstance(each, cls)]


def limited(**limits: Any) -> Account:
    return account(instruments=(X, Y), **limits)


# --- what goes out --------------------------------------------------------------------------------


def test_every_instrument_is_told_at_every_time_and_the_report_is_last() -> None:
    configured = account(instruments=(X, Y), strategies=(MOMENTUM, MACD))
    log = numbered("allocation", ACCOUNT, [
        *(epoch(configured, name) for name in (X, Y)),
        allocated(target("1"), target("0", instrument=Y), target("2", strategy=MACD)),
        allocated(target("1", "1"), target("2", strategy=MACD), target("0", "0", instrument=Y),
                  minute=2),
    ])  # fmt: skip
    machine = RiskMachine(ACCOUNT, None)
    sent: list[Output] = []
    for inbound in inbounds(log):
        sent += machine.take(inbound)
    assert [(o.topic, o.key, o.message.name, o.message.origin) for o in sent] == [
        ("orders", X, f"risk/{ACCOUNT}/{X}/1", f"allocation/{ACCOUNT}/{ACCOUNT}/3"),
        ("orders", Y, f"risk/{ACCOUNT}/{Y}/1", f"allocation/{ACCOUNT}/{ACCOUNT}/3"),
        ("risk", ACCOUNT, f"risk/{ACCOUNT}/{ACCOUNT}/1", f"allocation/{ACCOUNT}/{ACCOUNT}/3"),
        ("orders", X, f"risk/{ACCOUNT}/{X}/2", f"allocation/{ACCOUNT}/{ACCOUNT}/4"),
        ("orders", Y, f"risk/{ACCOUNT}/{Y}/2", f"allocation/{ACCOUNT}/{ACCOUNT}/4"),
        ("risk", ACCOUNT, f"risk/{ACCOUNT}/{ACCOUNT}/2", f"allocation/{ACCOUNT}/{ACCOUNT}/4"),
    ]
    first = sent[0].message.record
    assert isinstance(first, Orders)
    assert [order.strategy for order in first.orders] == [MACD, MOMENTUM]
    assert first.orders[1] == Order(
        f"{ACCOUNT}/{X}/{MOMENTUM}/{at(1)}", MOMENTUM, Side.BUY, OrderKind.MARKET, Decimal(1),
        None, None, "signal of momentum",
    )  # fmt: skip
    assert machine.time == at(2)
    assert machine.needs() == {}


def inbounds(log: Sequence[Message]) -> list[Inbound]:
    return [Inbound(message, "allocations", 0, offset) for offset, message in enumerate(log)]


def test_nothing_to_do_is_told() -> None:
    made = outputs([allocated(target("1", "1"))])
    assert [type(each) for each in made] == [Orders, RiskReport]
    assert ordered(made) == []


# --- limits on what opens -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "at_mark", "wanted", "expected", "allowed"),
    [
        ({}, mark(None), "1", Limit.NO_PRICE, "0"),
        ({}, mark(complete=False), "1", Limit.INCOMPLETE, "0"),
        ({"stale_after": 50}, mark(age=51), "1", Limit.STALE, "0"),
        ({}, mark(), "-1", Limit.NO_SHORT, "0"),
        ({"order_notional": Decimal(150)}, mark(), "2", Limit.ORDER_NOTIONAL, "1.5"),
        ({"position_notional": Decimal(150)}, mark(), "2", Limit.POSITION_NOTIONAL, "1.5"),
        ({"gross_notional": Decimal(150)}, mark(), "2", Limit.GROSS_NOTIONAL, "1.5"),
        ({}, mark(), "2.0005", Limit.FILTER, "2"),
        ({}, mark(), "0.05", Limit.FILTER, "0"),
        ({"allow_short": True, "order_notional": Decimal(150)}, mark(), "-2",
         Limit.ORDER_NOTIONAL, "-1.5"),
    ],
)  # fmt: skip
def test_each_limit_refuses_or_cuts_and_says_so(
    limits: dict[str, Any], at_mark: Mark, wanted: str, expected: Limit, allowed: str
) -> None:
    made = outputs([allocated(target(wanted), marks=[at_mark])], limited(**limits))
    assert refused(made) == [(expected, Decimal(wanted), Decimal(allowed))]
    assert [each[3] for each in ordered(made)] == [abs(Decimal(allowed))] * bool(Decimal(allowed))
    report = of_type(made, RiskReport)[0]
    assert (report.orders, report.refusals) == (len(ordered(made)), 1)


def test_data_as_old_as_it_may_be_opens() -> None:
    made = outputs([allocated(target("1"), marks=[mark(age=50)])], limited(stale_after=50))
    assert refused(made) == []


def test_a_reason_has_the_numbers() -> None:
    made = outputs([allocated(target("2"))], limited(position_notional=Decimal(150)))
    assert of_type(made, Refusal)[0].reason == (
        "2 more on 0 at 100 was over the largest position notional, 150"
    )


def test_cash_pays_for_price_slippage_and_fee() -> None:
    made = outputs([allocated(target("2"), cash="150")])
    # 100 moved by 5 basis points is 100.05, with a fee of 10 basis points 100.15005.
    assert refused(made) == [
        (Limit.CASH, Decimal(2), Decimal("1.497752622190")),
        (Limit.FILTER, Decimal("1.497752622190"), Decimal("1.497")),
    ]
    assert unit_cost(Decimal(100), FILTERS, account().execution) == Decimal("100.15005")


def test_no_cash_buys_nothing() -> None:
    assert ordered(outputs([allocated(target("2"), cash="-1")])) == []


def test_several_limits_cut_one_after_the_other() -> None:
    configured = limited(order_notional=Decimal(500), gross_notional=Decimal(333))
    made = outputs([allocated(target("9"))], configured)
    assert [limit for limit, _, _ in refused(made)] == [Limit.ORDER_NOTIONAL, Limit.GROSS_NOTIONAL]
    assert ordered(made) == [(MOMENTUM, X, Side.BUY, Decimal("3.33"))]


def test_limits_count_all_strategies_and_what_was_just_let_through() -> None:
    configured = limited(position_notional=Decimal(1000), gross_notional=Decimal(1500))
    made = outputs(
        [
            allocated(
                target("7", "3", strategy=MACD),
                target("6"),
                target("9", instrument=Y),
            )
        ],
        configured,
    )
    assert ordered(made) == [
        (MACD, X, Side.BUY, Decimal(4)),
        (MOMENTUM, X, Side.BUY, Decimal(3)),
        (MOMENTUM, Y, Side.BUY, Decimal(5)),
    ]


def test_one_strategy_s_sale_makes_no_room_for_another_s_purchase() -> None:
    configured = limited(position_notional=Decimal(1000))
    made = outputs(
        [allocated(target("0", "9", strategy=MACD), target("9"), cash="100")], configured
    )
    assert ordered(made) == [
        (MACD, X, Side.SELL, Decimal(9)),
        (MOMENTUM, X, Side.BUY, Decimal("0.998")),
    ]


def test_other_instruments_count_as_far_as_they_may_come_either_way() -> None:
    configured = limited(gross_notional=Decimal(1000), allow_short=True)
    bought = [target("6", strategy=MACD), target("9", instrument=Y)]
    assert ordered(outputs([allocated(*bought)], configured))[-1][3] == 4
    sold = [target("-6", strategy=MACD), target("9", instrument=Y)]
    assert ordered(outputs([allocated(*sold)], configured))[-1][3] == 4


# --- what reduces ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad", [mark(None), mark(complete=False), mark(age=10**9)], ids=["price", "gap", "stale"]
)
@pytest.mark.parametrize("commands", [(), (Action.HALT,)])
def test_what_reduces_is_always_let_through(bad: Mark, commands: Sequence[Action]) -> None:
    tight = limited(
        order_notional=Decimal(1), position_notional=Decimal(1), gross_notional=Decimal(1)
    )
    made = outputs(
        [
            allocated(target("5", "5"), minute=1),
            allocated(target("2", "5"), minute=2, marks=[bad], commands=commands, cash="0"),
        ],
        tight,
    )
    assert ordered(made) == [(MOMENTUM, X, Side.SELL, Decimal(3))]
    assert refused(made) == []


def test_a_short_is_covered_whatever_the_cash_and_its_cost_is_set_aside() -> None:
    configured = limited(allow_short=True)
    made = outputs(
        [allocated(target("0", "-5"), target("1", instrument=Y), cash="500")], configured
    )
    assert ordered(made) == [(MOMENTUM, X, Side.BUY, Decimal(5))]
    assert [limit for limit, _, _ in refused(made)] == [Limit.CASH]


def test_a_flip_closes_and_only_what_opens_is_checked() -> None:
    made = outputs([allocated(target("-3", "2"))])
    assert ordered(made) == [(MOMENTUM, X, Side.SELL, Decimal(2))]
    assert refused(made) == [(Limit.NO_SHORT, Decimal(-3), Decimal(0))]
    both = outputs([allocated(target("-3", "2"))], limited(allow_short=True))
    assert ordered(both) == [(MOMENTUM, X, Side.SELL, Decimal(5))]
    cut = limited(allow_short=True, order_notional=Decimal(300), position_notional=Decimal(250))
    assert ordered(outputs([allocated(target("-3", "2"))], cut)) == [
        (MOMENTUM, X, Side.SELL, Decimal(3))
    ]


def test_what_is_left_to_close_is_rounded_to_the_lot_and_told() -> None:
    made = outputs([allocated(target("0", "1.0005"))])
    assert ordered(made) == [(MOMENTUM, X, Side.SELL, Decimal(1))]
    assert refused(made) == [(Limit.FILTER, Decimal("-1.0005"), Decimal(-1))]


def test_a_small_rest_is_closed_below_the_minimum() -> None:
    made = outputs([allocated(target("0", "0.05"))])
    assert ordered(made) == [(MOMENTUM, X, Side.SELL, Decimal("0.05"))]


def test_what_has_left_gets_no_orders_and_still_counts() -> None:
    configured = limited(gross_notional=Decimal(700))
    made = outputs(
        [
            allocated(target("0"), target("5", "5", instrument=Y), minute=1),
            allocated(target("4"), target("5", "5", instrument=Y), minute=2, marks=[mark()]),
        ],
        configured,
    )
    assert ordered(made) == [(MOMENTUM, X, Side.BUY, Decimal(2))]
    assert [type(each) for each in made[3:]] == [Orders, Refusal, RiskReport]
    assert of_type(made, RiskReport)[1].gross_notional == 500


# --- halts ----------------------------------------------------------------------------------------


def reports(records: Sequence[Record], **limits: Any) -> list[RiskReport]:
    return of_type(outputs(records, limited(**limits)), RiskReport)


def test_a_command_halts_until_a_command_resumes() -> None:
    made = outputs(
        [
            allocated(target("1"), minute=1, commands=[Action.HALT]),
            allocated(target("1"), minute=2),
            allocated(target("1"), minute=3, commands=[Action.RESUME]),
        ]
    )
    assert [type(each) for each in made] == [
        Orders, Halted, Refusal, RiskReport,
        Orders, Refusal, RiskReport,
        Orders, Resumed, RiskReport,
    ]  # fmt: skip
    assert {limit for limit, _, _ in refused(made)} == {Limit.HALTED}
    assert ordered(made) == [(MOMENTUM, X, Side.BUY, Decimal(1))]
    halted = made[1]
    assert isinstance(halted, Halted)
    assert (halted.limit, halted.flatten) == (Limit.COMMAND, False)
    assert halted.reason == "command/halt told the account to halt"


def test_a_flatten_closes_everything_until_it_is_flat_and_stays_halted() -> None:
    made = outputs(
        [
            allocated(target("5", "3"), target("-2", "-2", MACD, Y), minute=1,
                      commands=[Action.FLATTEN]),
            allocated(target("5", "1"), target("-2", "0", MACD, Y), minute=2),
            allocated(target("5", "0"), target("-2", "0", MACD, Y), minute=3,
                      commands=[Action.HALT]),
        ],
        limited(allow_short=True),
    )  # fmt: skip
    assert ordered(made) == [
        (MOMENTUM, X, Side.SELL, Decimal(3)),
        (MACD, Y, Side.BUY, Decimal(2)),
        (MOMENTUM, X, Side.SELL, Decimal(1)),
    ]
    assert [each.flatten for each in of_type(made, Halted)] == [True, True]
    assert refused(made) == []


def test_every_command_leaves_a_record() -> None:
    made = outputs([allocated(target("1"), commands=[Action.RESUME, Action.HALT, Action.RESUME])])
    told = [each.reason for each in made if isinstance(each, Halted | Resumed)]
    assert told == [
        "command/resume told the account to resume, which was not halted",
        "command/halt told the account to halt",
        "command/resume told the account to resume",
    ]
    assert len(ordered(made)) == 1


def test_a_day_s_loss_halts_and_a_new_day_does_not_resume() -> None:
    day = 24 * 60
    given_ = [("10000", 1), ("9901", 2), ("9900", 3), ("9890", 4), ("9800", day), ("9750", day + 1)]
    records = [allocated(target("0"), equity=e, minute=m) for e, m in given_]
    made = outputs(records, limited(daily_loss=Decimal(100)))
    seen = of_type(made, RiskReport)
    assert [each.halted for each in seen] == [False, False, True, True, True, True]
    assert [each.day_start for each in seen] == [10_000] * 4 + [9_800] * 2
    assert [each.daily_loss for each in seen] == [0, 99, 100, 110, 0, 50]
    (halted,) = of_type(made, Halted)
    assert (halted.limit, halted.time) == (Limit.DAILY_LOSS, at(3))
    assert halted.reason == (
        "100 was lost since the day's start at 10000, at or over the daily loss limit, 100"
    )


def test_a_resume_counts_losses_from_there_on() -> None:
    records = [
        allocated(target("0"), equity="10000", minute=1),
        allocated(target("0"), equity="9900", minute=2),
        allocated(target("0"), equity="9890", minute=3, commands=[Action.RESUME]),
        allocated(target("0"), equity="9795", minute=4),
        allocated(target("0"), equity="9790", minute=5),
    ]
    seen = reports(records, daily_loss=Decimal(100))
    assert [each.halted for each in seen] == [False, True, False, False, True]
    assert [each.peak for each in seen] == [10_000, 10_000, 9_890, 9_890, 9_890]


def test_a_fall_from_the_peak_halts() -> None:
    equities = ["10000", "12000", "10801", "10800"]
    records = [allocated(target("0"), equity=e, minute=m) for m, e in enumerate(equities)]
    made = outputs(records, limited(drawdown=Decimal("0.1")))
    seen = of_type(made, RiskReport)
    assert [each.halted for each in seen] == [False, False, False, True]
    assert seen[3].drawdown == Decimal("0.1")
    assert of_type(made, Halted)[0].limit is Limit.DRAWDOWN


def test_limits_of_zero_stand_until_something_is_lost() -> None:
    records = [allocated(target("0"), equity=e, minute=m) for m, e in enumerate(["10", "10", "9"])]
    seen = reports(records, daily_loss=Decimal(0), drawdown=Decimal(0))
    assert [each.halted for each in seen] == [False, False, True]


def test_a_foreign_record_stops_it() -> None:
    with pytest.raises(ForeignRecordError, match="allocations/0/2 held a join"):
        outputs([join(X, 1)])


# --- all together ---------------------------------------------------------------------------------


@st.composite
def situations(draw: st.DrawFn) -> tuple[Account, Filters, Allocated]:
    def money(most: int) -> Decimal:
        return Decimal(draw(st.integers(0, most)))

    configured = account(
        instruments=(X, Y),
        strategies=(MOMENTUM, MACD),
        order_notional=money(3000),
        position_notional=money(3000),
        gross_notional=money(5000),
        allow_short=draw(st.booleans()),
    )
    small = st.integers(-30_000, 30_000).map(lambda n: Decimal(n) / 1000)
    own = small if configured.risk.allow_short else small.map(abs)
    targets = [
        Target(strategy, instrument, draw(small), draw(own), "")
        for strategy in (MACD, MOMENTUM)
        for instrument in (X, Y)
    ]
    marks = [Mark(name, Decimal(draw(st.integers(1, 30_000))) / 100, True, 0) for name in (X, Y)]
    decided = allocated(*targets, cash=str(money(5000)), marks=marks)
    return configured, draw(st.sampled_from([FILTERS, NO_FILTERS])), decided


def closing(each: Target) -> Decimal:
    """Return what of a target closes, signed, by another way than the code's."""
    if each.held > 0:
        return max(min(each.quantity - each.held, Decimal(0)), -each.held)
    return min(max(each.quantity - each.held, Decimal(0)), -each.held)


def worst(ranges: dict[str, list[Decimal]], prices: dict[str, Decimal]) -> dict[str, Decimal]:
    return {name: max(map(abs, each)) * prices[name] for name, each in ranges.items()}


@settings(max_examples=200, deadline=None)
@given(situations())
def test_whatever_is_filled_no_limit_is_passed_by_what_opens(
    situation: tuple[Account, Filters, Allocated],
) -> None:
    configured, filters, decided = situation
    rules = Rules({name: epoch(configured, name, filters=filters) for name in (X, Y)})
    prices = {each.instrument: each.price for each in decided.marks if each.price is not None}
    made = Clearance(decided, rules, UNWATCHED, prices).orders
    orders = {(o.strategy, name): o for name, each in made.items() for o in each}
    costs = {name: unit_cost(prices[name], filters, configured.execution) for name in (X, Y)}
    # The lowest and the highest each position can come to: with what closes only, and with all.
    must = {name: [Decimal(0), Decimal(0)] for name in (X, Y)}
    may = {name: [Decimal(0), Decimal(0)] for name in (X, Y)}
    must_pay, may_pay = Decimal(0), Decimal(0)
    for each in decided.targets:
        order = orders.get((each.strategy, each.instrument))
        change = closing(each)
        whole = Decimal(0) if order is None else order.quantity
        whole = -whole if order is not None and order.side is Side.SELL else whole
        check_order(
            each,
            whole,
            change,
            configured=configured,
            filters=filters,
            price=prices[each.instrument],
        )
        must_pay += max(change, Decimal(0)) * costs[each.instrument]
        may_pay += max(whole, Decimal(0)) * costs[each.instrument]
        for ranges, moved in ((must, change), (may, whole)):
            low, high = ranges[each.instrument]
            ranges[each.instrument] = [
                low + each.held + min(moved, Decimal(0)), high + each.held + max(moved, Decimal(0))
            ]  # fmt: skip
    before, after = worst(must, prices), worst(may, prices)
    risk = configured.risk
    assert may_pay <= max(decided.cash, must_pay)
    assert sum(after.values()) <= max(risk.gross_notional, sum(before.values()))
    for name in (X, Y):
        assert after[name] <= max(risk.position_notional, before[name])


def check_order(
    each: Target,
    whole: Decimal,
    change: Decimal,
    *,
    configured: Account,
    filters: Filters,
    price: Decimal,
) -> None:
    """Check one order on its own, signed like what closes: the other way there is no order."""
    wanted = each.quantity - each.held
    assert min(wanted, Decimal(0)) <= whole <= max(wanted, Decimal(0))
    assert abs(whole) >= abs(change) - (filters.lot_size or 0)
    assert not filters.lot_size or whole % filters.lot_size == 0
    if abs(whole) > abs(change):
        assert abs(whole) * price <= configured.risk.order_notional
        assert abs(whole) * price >= filters.minimum_notional
        assert configured.risk.allow_short or each.held + whole >= 0


def test_every_limit_but_the_halting_ones_is_in_the_table() -> None:
    asked = {limit for limit, _ in LIMITS}
    assert set(Limit) - asked == {Limit.DAILY_LOSS, Limit.DRAWDOWN, Limit.COMMAND}


@pytest.mark.parametrize("seed", range(20))
def test_a_crash_anywhere_changes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    configured = limited(daily_loss=Decimal(300), allow_short=True, gross_notional=Decimal(900))
    records: list[Record] = [epoch(configured, name) for name in (X, Y)]
    for minute in range(8):
        targets = [
            target(str(rng.randrange(-5, 6)), str(rng.randrange(-5, 6)), MOMENTUM, name)
            for name in (X, Y)
        ]
        commands = rng.choice([(), (), (), (Action.HALT,), (Action.RESUME,), (Action.FLATTEN,)])
        equity = str(rng.randrange(9_800, 10_200))
        records.append(allocated(*targets, minute=minute, equity=equity, commands=commands))
    log = with_repeats(rng, numbered("allocation", ACCOUNT, records))
    stormy = World(lambda state: RiskMachine(ACCOUNT, state), {"allocations": log}, rng, 0.3)
    made = [output.message.record for output in stormy.run()]
    assert stormy.crashes
    calm = feed(RiskMachine(ACCOUNT, None), numbered("allocation", ACCOUNT, records), "allocations")
    assert made == calm
