"""The meta-strategy: when targets are fixed, kept and forgotten, and how capital is divided."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.allocation import AllocationMachine
from app.core.events import (
    Account,
    Action,
    Allocated,
    AllocationMethod,
    Epoch,
    Filters,
    Holding,
    Instruction,
    Mark,
    Opinion,
    Portfolio,
    Record,
    View,
)
from app.core.rules import ForeignRecordError
from app.core.weights import Sample, earned, equal_weights, performance_weights, sample
from tests.core.account_builders import (
    ACCOUNT,
    MACD,
    MINUTE,
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

LONG, SHORT, FLAT, NOT_READY = View.LONG, View.SHORT, View.FLAT, View.NOT_READY
Views = dict[tuple[str, str], View]


def held(strategy: str, instrument: str, quantity: str, profit: str = "0") -> Holding:
    """Return a holding bought at 100."""
    amount = Decimal(quantity)
    return Holding(strategy, instrument, amount, amount * 100, Decimal(profit), Decimal(0))


def portfolio(
    minute: int,
    views: Views,
    *,
    equity: str = "10000",
    price: str | None = "100",
    holdings: Sequence[Holding] = (),
    commands: Sequence[Action] = (),
) -> Portfolio:
    known = None if price is None else Decimal(price)
    instruments = sorted({instrument for _, instrument in views})
    return Portfolio(
        account=ACCOUNT,
        time=at(minute),
        epoch=1,
        cash=Decimal(equity),
        equity=Decimal(equity),
        holdings=tuple(holdings),
        marks=tuple(Mark(instrument, known, True, 0) for instrument in instruments),
        opinions=tuple(
            Opinion(*pair, view, f"{pair[0]}/{pair[1]}/{ACCOUNT}/{minute}")
            for pair, view in sorted(views.items())
        ),
        instructions=tuple(Instruction(action, "command") for action in commands),
    )


def epochs(configured: Account, number: int = 1, **changes: Any) -> list[Record]:
    return [epoch(configured, name, number, **changes) for name in sorted(configured.instruments)]


def allocate(records: Iterable[Record]) -> list[Allocated]:
    """Return what a new machine makes of the portfolio's records."""
    machine = AllocationMachine(ACCOUNT, None)
    made = feed(machine, numbered("portfolio", ACCOUNT, records), "portfolio")
    return [record for record in made if isinstance(record, Allocated)]


def quantities(records: Iterable[Record]) -> list[Decimal]:
    """Return the target of the only strategy and instrument at every decision time."""
    return [target.quantity for each in allocate(records) for target in each.targets]


def lasting(*views: View, **changes: Any) -> list[Record]:
    """Return an account of one strategy and one instrument with one view a minute."""
    return [
        *epochs(account()),
        *(portfolio(minute, {(MOMENTUM, X): view}, **changes) for minute, view in enumerate(views)),
    ]


def test_epochs_are_passed_on_first() -> None:
    configured = account(instruments=(X, Y))
    machine = AllocationMachine(ACCOUNT, None)
    records = [*epochs(configured), portfolio(1, {(MOMENTUM, X): FLAT, (MOMENTUM, Y): FLAT})]
    made = feed(machine, numbered("portfolio", ACCOUNT, records), "portfolio")
    assert made[:2] == records[:2]
    assert isinstance(made[2], Allocated)
    assert machine.revision == 3


def test_capital_is_divided_among_strategies_and_instruments() -> None:
    configured = account(instruments=(X, Y), strategies=(MOMENTUM, MACD), invested="0.5")
    views = {(s, i): LONG for s in (MOMENTUM, MACD) for i in (X, Y)}
    (allocated,) = allocate([*epochs(configured), portfolio(1, views)])
    assert [(w.strategy, w.share) for w in allocated.weights] == [
        (MOMENTUM, Decimal("0.5")), (MACD, Decimal("0.5"))
    ]  # fmt: skip
    assert [(t.strategy, t.instrument) for t in allocated.targets] == sorted(views)
    assert {t.quantity for t in allocated.targets} == {Decimal("12.5")}
    assert allocated.targets[0].signal == f"{MACD}/{X}/{ACCOUNT}/1"


def test_a_target_is_rounded_down_to_the_lot() -> None:
    assert quantities([*epochs(account()), portfolio(1, {(MOMENTUM, X): LONG}, price="3")]) == [
        Decimal("3333.333")
    ]


def test_a_target_is_kept_while_the_view_lasts() -> None:
    records = [
        *epochs(account()),
        portfolio(1, {(MOMENTUM, X): LONG}),
        portfolio(2, {(MOMENTUM, X): LONG}, equity="20000", price="50"),
        portfolio(3, {(MOMENTUM, X): FLAT}, equity="20000"),
        portfolio(4, {(MOMENTUM, X): LONG}, equity="20000"),
        portfolio(5, {(MOMENTUM, X): SHORT}, equity="20000"),
    ]
    assert quantities(records) == [100, 100, 0, 200, -200]


def test_not_ready_holds_and_the_view_before_it_goes_on() -> None:
    holding = [held(MOMENTUM, X, "60")]
    assert quantities(lasting(NOT_READY, LONG, NOT_READY, LONG, holdings=holding)) == [
        60, 100, 60, 100
    ]  # fmt: skip


def test_without_a_price_nothing_moves_and_flat_is_flat() -> None:
    assert quantities(lasting(LONG, FLAT, SHORT, price=None)) == [0, 0, 0]
    records = [
        *epochs(account()),
        portfolio(1, {(MOMENTUM, X): LONG}, price=None),
        portfolio(2, {(MOMENTUM, X): LONG}),
    ]
    assert quantities(records) == [0, 100]


def test_no_equity_is_no_capital() -> None:
    assert quantities(lasting(LONG, equity="-5")) == [0]


@pytest.mark.parametrize(
    ("views", "expected"),
    [
        ((LONG, LONG, LONG, FLAT, LONG), [100, 0, 0, 0, 100]),
        ((LONG, NOT_READY, LONG, SHORT, LONG), [100, 30, 0, -100, 100]),
        ((NOT_READY, NOT_READY, LONG), [30, 0, 100]),
    ],
)
def test_a_flatten_forgets_what_was_wanted(views: Sequence[View], expected: list[int]) -> None:
    records = [
        *epochs(account()),
        *(
            portfolio(
                minute,
                {(MOMENTUM, X): view},
                holdings=[held(MOMENTUM, X, "30")],
                commands=[Action.FLATTEN] if minute == 1 else [Action.HALT, Action.RESUME],
            )
            for minute, view in enumerate(views)
        ),
    ]
    assert quantities(records) == expected


def test_the_lot_of_a_new_configuration_counts_from_the_next_view_on() -> None:
    coarse = Decimal(30)
    records = [
        *lasting(LONG),
        *epochs(account(), 2, filters=Filters(coarse, coarse, coarse, coarse)),
        portfolio(1, {(MOMENTUM, X): LONG}),
        portfolio(2, {(MOMENTUM, X): SHORT}),
    ]
    assert quantities(records) == [100, 100, -90]


def test_holdings_nobody_speaks_for_are_let_go_where_they_can_be() -> None:
    old = account(instruments=(X, Y), strategies=(MOMENTUM, MACD))
    flat = portfolio(1, {(MOMENTUM, X): FLAT}, holdings=[held(MACD, X, "1"), held(MACD, Y, "0")])
    (allocated,) = allocate([*epochs(old), *epochs(account(), 2), flat])
    assert [(t.strategy, t.instrument, t.quantity, t.held) for t in allocated.targets] == [
        (MACD, X, 0, 1), (MOMENTUM, X, 0, 0)
    ]  # fmt: skip
    assert allocated.targets[0].signal == f"portfolio/{ACCOUNT}/{ACCOUNT}/4"


def test_what_has_left_stays_held_at_its_last_price() -> None:
    both = account(instruments=(X, Y))
    records = [
        *epochs(both),
        portfolio(1, {(MOMENTUM, X): FLAT, (MOMENTUM, Y): FLAT}, price="120"),
        portfolio(2, {(MOMENTUM, X): FLAT}, price="90", holdings=[held(MOMENTUM, Y, "2")]),
    ]
    _, allocated = allocate(records)
    assert [(t.instrument, t.quantity, t.held) for t in allocated.targets] == [
        (X, 0, 0), (Y, 2, 2)
    ]  # fmt: skip
    assert allocated.performance[0].unrealised == 40


def test_performance_is_every_configured_strategy_s() -> None:
    configured = account(strategies=(MOMENTUM, MACD))
    holdings = [held(MACD, X, "3", profit="7"), held(MOMENTUM, X, "-1", profit="1")]
    views = {(MACD, X): FLAT, (MOMENTUM, X): FLAT}
    records = [*epochs(configured), portfolio(1, views, price="110", holdings=holdings)]
    first, second = allocate(records)[0].performance
    assert (first.strategy, first.unrealised, first.profit) == (MOMENTUM, -10, -9)
    assert (second.strategy, second.realised, second.profit) == (MACD, 7, 37)


def test_a_foreign_record_stops_it() -> None:
    with pytest.raises(ForeignRecordError, match="portfolio/0/0 held a join"):
        allocate([join(X, 1)])


# --- weights --------------------------------------------------------------------------------------


def test_equal_weights_are_rounded_down() -> None:
    assert [w.share for w in equal_weights(("a", "b", "c"))] == [Decimal("0.333333")] * 3


def test_performance_weights_follow_what_was_earned() -> None:
    weights = performance_weights({"a": Decimal(30), "b": Decimal(10), "c": Decimal(-99)})
    assert [w.share for w in weights] == [
        Decimal("0.645833"), Decimal("0.270833"), Decimal("0.083333")
    ]  # fmt: skip
    assert performance_weights({"a": Decimal(-1), "b": Decimal(0)}) == equal_weights(("a", "b"))


@given(st.lists(st.decimals(-(10**9), 10**9, places=8), min_size=1, max_size=12))
def test_weights_never_pass_the_whole_and_never_starve_anyone(profits: list[Decimal]) -> None:
    names = [f"s{number}" for number in range(len(profits))]
    shares = [w.share for w in performance_weights(dict(zip(names, profits, strict=True)))]
    assert 1 - Decimal("0.000001") * len(shares) <= sum(shares) <= 1
    assert min(shares) >= Decimal("0.25") / len(shares) - Decimal("0.000001")


@given(st.integers(1, 100_000), st.integers(1, 300))
def test_the_lookback_is_measured_in_a_bounded_number_of_samples(lookback: int, steps: int) -> None:
    samples: tuple[Sample, ...] = ()
    for minute in range(0, steps * (lookback // 100 + 1), lookback // 100 + 1):
        now = Sample(at(minute), {"a": Decimal(minute)})
        samples = sample(samples, now, lookback, MINUTE)
        assert len(samples) <= 62
        assert earned(samples, now)["a"] <= lookback


def test_only_the_lookback_counts() -> None:
    configured = account(
        strategies=(MOMENTUM, MACD), method=AllocationMethod.PERFORMANCE, lookback=2
    )
    views = {(MACD, X): FLAT, (MOMENTUM, X): FLAT}
    earnings = [("0", "0"), ("10", "0"), ("10", "0"), ("10", "30"), ("10", "30"), ("10", "30")]
    records = [
        portfolio(
            minute, views, holdings=[held(MACD, X, "0", macd), held(MOMENTUM, X, "0", momentum)]
        )
        for minute, (momentum, macd) in enumerate(earnings)
    ]
    shares = [each.weights[0].share for each in allocate([*epochs(configured), *records])]
    winner, loser, equal = Decimal("0.875"), Decimal("0.125"), Decimal("0.5")
    assert shares == [equal, winner, winner, loser, loser, equal]


@pytest.mark.parametrize("seed", range(20))
def test_a_crash_anywhere_changes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    configured = account(
        instruments=(X, Y),
        strategies=(MOMENTUM, MACD),
        method=rng.choice(list(AllocationMethod)),
        lookback=3,
    )
    pairs = [(s, i) for s in (MOMENTUM, MACD) for i in (X, Y)]
    records: list[Record] = [*epochs(configured)]
    for minute in range(8):
        views = {pair: rng.choice(list(View)) for pair in pairs}
        holdings = [held(*pair, str(rng.randrange(5)), str(rng.randrange(9))) for pair in pairs]
        commands = rng.choice([(), (), (Action.FLATTEN,)])
        records.append(
            portfolio(minute, views, price=str(minute + 1), holdings=holdings, commands=commands)
        )
    log = with_repeats(rng, numbered("portfolio", ACCOUNT, records))
    stormy = World(lambda state: AllocationMachine(ACCOUNT, state), {"portfolio": log}, rng, 0.15)
    made = [output.message.record for output in stormy.run()]
    assert stormy.crashes
    assert [each for each in made if isinstance(each, Allocated)] == allocate(records)
    assert [each for each in made if isinstance(each, Epoch)] == records[:2]
