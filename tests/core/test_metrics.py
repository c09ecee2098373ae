"""The figures of whole runs: exact sums, bounds, what changes nothing, and what is not defined."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.decimals import ZERO
from app.core.events import (
    Fill,
    Halted,
    Limit,
    Portfolio,
    Record,
    Refusal,
    RiskReport,
    Side,
)
from app.core.metrics import (
    DEFINITIONS,
    AccountSummary,
    Direction,
    RunRecords,
    RunRecordsError,
    Unit,
    measure,
)
from tests.report.runs import (
    DAY,
    HOUR,
    MACD,
    MOMENTUM,
    START,
    Step,
    Trade,
    X,
    Y,
    account,
    fed,
    measured,
    records,
    runs,
    walk,
)

FLAT = [Step({X: Decimal(100), Y: Decimal(50)})] * 40


def one(steps: list[Step], **options: int) -> AccountSummary:
    return measured(steps, **options).accounts[0]


def exact(value: object) -> Fraction:
    assert isinstance(value, Decimal)
    return Fraction(value)


def price(number: int, *trades: Trade, other: int = 50) -> Step:
    return Step({X: Decimal(number), Y: Decimal(other)}, trades)


def buy(quantity: int, at: int, fee: str = "0", strategy: str = MACD) -> Trade:
    return Trade(strategy, X, Decimal(quantity), Decimal(at), Decimal(fee))


@settings(max_examples=60, deadline=None)
@given(runs())
def test_trips_closed_and_open_make_what_the_equity_gained(steps: list[Step]) -> None:
    """In fractions: to the last digit."""
    found = one(steps)
    made = sum((exact(trip.profit) for trip in (*found.trips, *found.open_trips)), Fraction(0))
    end = exact(found.figures["end_equity"].value)
    assert made == end - 10_000 == exact(found.figures["profit"].value)
    fees = sum((exact(trip.fees) for trip in (*found.trips, *found.open_trips)), Fraction(0))
    assert fees == exact(found.figures["fees"].value)


@settings(max_examples=40, deadline=None)
@given(runs())
def test_parts_make_the_whole(steps: list[Step]) -> None:
    found = one(steps)
    for parts in (found.strategies, found.instruments, found.pairs):
        for key in ("profit", "realised", "unrealised", "fees", "turnover"):
            together = sum((exact(part.figures[key].value) for part in parts), Fraction(0))
            assert together == exact(found.figures[key].value)
        for key in ("trips", "wins", "fills"):
            assert sum(part.figures[key].value or 0 for part in parts) == found.figures[key].value
    made = {key: exact(found.figures[key].value) for key in ("realised", "unrealised", "fees")}
    assert exact(found.figures["profit"].value) == (
        made["realised"] + made["unrealised"] - made["fees"]
    )
    for name, line in (*found.paths.strategies.items(), *found.paths.instruments.items()):
        part = next(each for each in (*found.strategies, *found.instruments) if each.name == name)
        assert math.isclose(line[-1], float(part.figures["profit"].value or 0), abs_tol=1e-9)


@settings(max_examples=40, deadline=None)
@given(runs())
def test_trips_are_where_the_position_leaves_and_returns_to_zero(steps: list[Step]) -> None:
    """Counted from the fills alone."""
    fills = [record for record in records(steps) if isinstance(record, Fill)]
    position: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    closed = 0
    for fill in fills:
        pair = (fill.strategy, fill.instrument)
        before = position[pair]
        position[pair] += fill.quantity if fill.side is Side.BUY else -fill.quantity
        closed += bool(before) and before * position[pair] <= 0
    found = one(steps)
    assert len(found.trips) == closed
    assert len(found.open_trips) == sum(bool(each) for each in position.values())


@settings(max_examples=40, deadline=None)
@given(runs(least=2))
def test_what_a_figure_says_is_finite_or_has_a_reason(steps: list[Step]) -> None:
    found = one(steps)
    assert list(found.figures) == list(DEFINITIONS)
    for key, figure in (*found.figures.items(), *found.benchmark.items()):
        if figure.value is None:
            assert figure.reason
            continue
        assert math.isfinite(figure.value)
        if DEFINITIONS[key].unit is Unit.MONEY:
            assert isinstance(figure.value, Decimal)
    for key in ("win_rate", "invested_time", "halted_time", "fill_rate"):
        assert found.figures[key].value is None or 0 <= found.figures[key].value <= 1
    for trip in (*found.trips, *found.open_trips):
        assert trip.worst <= min(trip.profit, 0)
        assert trip.best >= max(trip.profit, 0)


@settings(max_examples=30, deadline=None)
@given(runs(least=3), st.sampled_from([2, 8, 1024]))
def test_twice_the_money_is_the_same_ratios(steps: list[Step], scale: int) -> None:
    larger = [
        Step(
            {name: mark * scale for name, mark in step.marks.items()},
            tuple(
                Trade(t.strategy, t.instrument, t.quantity, t.price * scale, t.fee * scale)
                for t in step.trades
            ),
        )
        for step in steps
    ]
    first = one(steps)
    second = measured(larger, account(capital=str(10_000 * scale))).accounts[0]
    for key, figure in first.figures.items():
        other = second.figures[key].value
        if figure.value is None or other is None:
            assert figure.value is other
        elif DEFINITIONS[key].unit is Unit.MONEY:
            assert math.isclose(figure.value * scale, other, abs_tol=1e-6)
        else:
            assert math.isclose(figure.value, other, rel_tol=1e-9, abs_tol=1e-12)


@settings(max_examples=30, deadline=None)
@given(runs(least=3), st.randoms(use_true_random=False))
def test_the_order_between_topics_and_instruments_changes_nothing(
    steps: list[Step], draw: random.Random
) -> None:
    """Whatever comes between two portfolios may come in any order; candles at any time."""
    whole = records(steps)
    shuffled: list[Record] = []
    between: list[Record] = []
    for record in whole:
        if isinstance(record, Portfolio):
            draw.shuffle(between)
            shuffled += [*between, record]
            between = []
        else:
            between.append(record)
    draw.shuffle(between)
    first = measure(fed(whole)).accounts[0]
    second = measure(fed([*shuffled, *between])).accounts[0]
    assert first.figures == second.figures
    assert first.trips == second.trips
    assert sorted(map(str, first.activity.orders)) == sorted(map(str, second.activity.orders))
    assert first.paths.gross.tolist() == second.paths.gross.tolist()


@settings(max_examples=30, deadline=None)
@given(runs(least=4, most=8), st.data())
def test_a_run_from_the_middle_counts_from_there(steps: list[Step], data: st.DataObject) -> None:
    made = records(steps)
    places = [at for at, record in enumerate(made) if isinstance(record, Portfolio)]
    cut = data.draw(st.sampled_from(places))
    configuration = made[:2]
    found = measure(fed([*configuration, *made[cut:]])).accounts[0]
    whole = one(steps)
    start = made[cut]
    assert isinstance(start, Portfolio)
    gained = exact(whole.figures["end_equity"].value) - exact(start.equity)
    assert exact(found.figures["profit"].value) == gained
    assert sum(exact(part.figures["profit"].value) for part in found.strategies) == gained
    trips = (*found.trips, *found.open_trips)
    carried = [holding for holding in start.holdings if holding.quantity]
    assert sum(trip.carried for trip in trips) == len(carried)


def test_a_trip_by_hand() -> None:
    """Bought 2 at 100 and 2 at 110, sold 4 at 120; fees 1, 1 and 2; the mark fell to 90 between."""
    steps = [
        price(100, buy(2, 100, "1")),
        price(90, buy(2, 110, "1")),
        price(115, buy(-4, 120, "2")),
        price(300),
    ]
    (trip,) = one(steps).trips
    assert (trip.direction, trip.quantity, trip.fills) == (Direction.LONG, 4, 3)
    assert (trip.entry_price, trip.exit_price) == (105, 120)
    assert (trip.profit, trip.fees) == (56, 4)
    assert (trip.worst, trip.best) == (-21, 56)
    assert (trip.entry_time, trip.exit_time) == (START + 100, START + 2 * HOUR + 100)


def test_a_fill_that_crosses_zero_closes_one_trip_and_opens_the_next() -> None:
    """Bought 1 at 100, sold 3 at 110 for a fee of 1: a third of it closed."""
    found = one([price(100, buy(1, 100)), price(105, buy(-3, 110, "1")), price(104)])
    (closed,) = found.trips
    (opened,) = found.open_trips
    third = Decimal("0.333333333333")
    assert (closed.profit, closed.fees) == (10 - third, third)
    assert (opened.direction, opened.quantity, opened.entry_price) == (Direction.SHORT, 2, 110)
    assert (opened.profit, opened.fees) == (12 - (1 - third), 1 - third)


def test_the_averages_of_trips_by_hand() -> None:
    """Profits 10, 20 and -6."""
    steps = [
        price(100, buy(1, 100)), price(100, buy(-1, 110)),
        price(100, buy(1, 100)), price(100, buy(-1, 120)),
        price(100, buy(1, 100)), price(100, buy(-1, 94)), price(100),
    ]  # fmt: skip
    figures = one(steps).figures
    shown = {key: figures[key].value for key in ("trips", "wins", "losses", "win_rate")}
    assert shown == {"trips": 3, "wins": 2, "losses": 1, "win_rate": 2 / 3}
    assert (figures["profit_factor"].value, figures["payoff_ratio"].value) == (5.0, 2.5)
    assert (figures["expectancy"].value, figures["average_win"].value) == (8, 15)
    assert (figures["average_loss"].value, figures["best_trip"].value) == (-6, 20)
    assert figures["average_length"].value == HOUR


def test_exposure_and_turnover_by_hand() -> None:
    """Two strategies against each other hold nothing, but each of them does."""
    steps = [
        price(100, buy(10, 100)),
        price(100, buy(-10, 100, strategy=MOMENTUM)),
        price(100),
        price(100, buy(-10, 100)),
        price(100),
    ]
    found = one(steps)
    assert found.paths.gross.tolist() == [0, 1000, 0, 0, 1000]
    figures = found.figures
    assert (figures["invested_time"].value, figures["max_gross"].value) == (0.4, 0.1)
    assert math.isclose(figures["average_gross"].value or 0, 0.04)
    assert (figures["turnover"].value, figures["turnover_ratio"].value) == (3000, 0.3)
    macd, momentum = found.strategies
    assert (macd.figures["invested_time"].value, momentum.figures["invested_time"].value) == (
        0.6,
        0.6,
    )
    assert found.instruments[0].figures["invested_time"].value == 0.8


def test_buy_and_hold_by_hand() -> None:
    """Half in each; one doubles, the other stays; 10 basis points once."""
    found = one([price(100), price(150), price(200)])
    worth = 5000 / 1.001 * 2 + 5000 / 1.001
    assert math.isclose(found.paths.benchmark[-1], worth)
    assert math.isclose(found.figures["benchmark_return"].value or 0, worth / 10_000 - 1)
    assert math.isclose(found.figures["excess_return"].value or 0, 1 - worth / 10_000)


def test_buy_and_hold_keeps_cash_until_there_is_a_price() -> None:
    steps = [Step({X: Decimal(100)}), price(100, other=10), price(100, other=20)]
    found = measured(steps, account(fee="0")).accounts[0]
    assert found.paths.benchmark.tolist() == [10_000, 10_000, 15_000]


def test_a_run_without_trades_has_no_figures_of_trips() -> None:
    figures = one(FLAT).figures
    for key in ("win_rate", "profit_factor", "payoff_ratio", "expectancy", "best_trip"):
        assert (figures[key].value, figures[key].reason) == (None, "no round trip was closed")
    assert (figures["sharpe"].value, figures["sharpe"].reason) == (None, "all returns are the same")
    assert figures["sortino"].value is None
    assert (figures["max_drawdown"].value, figures["total_return"].value) == (0.0, 0.0)
    assert figures["max_drawdown_start"].reason == "the equity never fell"
    assert figures["volatility"].value == 0.0


def test_one_decision_time_is_too_few_for_returns() -> None:
    figures = one(FLAT[:1]).figures
    assert figures["sharpe"].reason == "fewer than two whole periods"
    assert figures["cagr"].reason == "the run is shorter than 30 days"
    assert figures["annual_turnover"].value is None


def test_an_equity_below_zero_has_no_returns() -> None:
    """Sold 1000 at 100; the price rose by 50."""
    figures = one([price(100, buy(-1000, 100)), price(100), price(150), price(100)]).figures
    assert figures["sharpe"].reason == "the equity was not above zero throughout"
    assert figures["max_drawdown"].value == 5.0


def test_refusals_cuts_and_halts_are_counted() -> None:
    def refusal(limit: Limit, allowed: int) -> Refusal:
        words = ("paper", X, MACD, START, 1, limit, Decimal(2), Decimal(allowed), "why", "s")
        return Refusal(*words)

    def report(number: int, *, halted: bool) -> RiskReport:
        none = (ZERO,) * 6
        return RiskReport("paper", START + number * HOUR, 1, *none, halted, 0, 0)

    made = [
        *records(FLAT[:4]),
        refusal(Limit.CASH, 0), refusal(Limit.CASH, 1), refusal(Limit.STALE, 0),
        Halted("paper", START, 1, Limit.DRAWDOWN, "fell", flatten=False),
        *(report(number, halted=number > 2) for number in range(4)),
    ]  # fmt: skip
    found = measure(fed(made)).accounts[0]
    assert [(each.limit, each.refused, each.cut) for each in found.activity.refused] == [
        (Limit.CASH, 1, 1),
        (Limit.STALE, 1, 0),
    ]
    assert (found.figures["refusals"].value, found.figures["cuts"].value) == (2, 1)
    assert found.figures["halted_time"].value == 0.25
    assert [each.TYPE for each in found.activity.halts] == ["halted"]


def test_fills_after_the_last_portfolio_are_in_no_figure() -> None:
    made = records([price(100, buy(1, 100)), price(110)])
    found = measure(fed(made[:-3])).accounts[0]
    assert (found.activity.unbooked, found.figures["fills"].value) == (1, 0)


def test_a_missing_fill_is_found() -> None:
    made = [record for record in records(walk(20)) if not isinstance(record, Fill)]
    with pytest.raises(RunRecordsError, match=r"has cash .* the fills fed before it make"):
        fed(made)


def test_a_portfolio_twice_is_found() -> None:
    made = records(FLAT[:2])
    with pytest.raises(RunRecordsError, match="feed each record once"):
        fed([*made, made[-1]])


def test_a_portfolio_without_its_configuration_is_found() -> None:
    with pytest.raises(RunRecordsError, match="named configuration 1, which was not among"):
        fed(records(FLAT[:1])[2:])


def test_nothing_to_measure_is_said() -> None:
    with pytest.raises(RunRecordsError, match="no account had a portfolio"):
        measure(RunRecords())


def test_a_run_can_be_measured_while_it_goes_on() -> None:
    made = records(walk(60))
    places = [at for at, record in enumerate(made) if isinstance(record, Portfolio)]
    taken = fed(made[: places[30] + 1])
    measure(taken)
    for record in made[places[30] + 1 :]:
        taken.take(record)
    assert measure(taken).accounts[0].figures == measure(fed(made)).accounts[0].figures


@pytest.mark.parametrize(
    ("count", "interval", "name", "samples"),
    [
        (40, HOUR, "at every decision time", 39),
        (50, HOUR, "hourly", 49),
        (24 * 30 + 1, HOUR, "daily at 00:00 UTC", 30),
        (3, DAY, "daily at 00:00 UTC", 2),
        (40, 60_000, "at every decision time", 39),
    ],
)
def test_returns_are_sampled_by_the_length_of_the_run(
    count: int, interval: int, name: str, samples: int
) -> None:
    found = one(walk(count), interval=interval)
    assert (found.sampling.name, found.samples) == (name, samples)
