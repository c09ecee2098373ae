"""The join that keeps the books: arrival order, crashes, epochs, commands."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.events import (
    Action,
    Candle,
    Epoch,
    Inbound,
    Message,
    Portfolio,
    Record,
    View,
)
from app.core.flow import HoleError
from app.core.portfolio import PortfolioMachine
from app.core.positions import totals
from app.core.rules import ForeignRecordError
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
    booked,
    command,
    epoch,
    feed,
    fill,
    join,
    leave,
    merge,
    numbered,
    once,
    signal,
    with_repeats,
)

BOTH = account(instruments=(Y, X), strategies=(MOMENTUM, MACD))
LAST = 6


def make(state: Any = None) -> PortfolioMachine:
    return PortfolioMachine(ACCOUNT, state)


def sender(strategy: str, instrument: str, records: Iterable[Record]) -> list[Message]:
    return numbered(strategy, instrument, records)


def views(strategy: str, instrument: str, begin: int, end: int, number: int = 1) -> list[Record]:
    """Return a strategy's signals from one minute to another, both among them."""
    return [
        signal(strategy, instrument, minute, str(100 + minute), number=number)
        for minute in range(begin, end + 1)
    ]


def running() -> tuple[list[list[Message]], list[list[Message]]]:
    """Return a run's senders of signals and of fills: Y joins at 1, X at 2."""
    joins = {X: 2, Y: 1}
    signals = [
        sender(
            strategy,
            instrument,
            [
                epoch(BOTH, instrument),
                join(instrument, begin),
                *views(strategy, instrument, begin, LAST),
            ],
        )
        for strategy in (MOMENTUM, MACD)
        for instrument, begin in joins.items()
    ]
    trades: dict[str, list[Record]] = {X: [], Y: []}
    for minute in range(2, LAST):
        trades[X] += [
            fill(MOMENTUM, X, minute, "0.3" if minute % 2 else "-0.1", "100.07", fee="0.013"),
            fill(MACD, X, minute, "0.7", "99.9", fee="0.02", after=200),
        ]
        trades[Y] += [fill(MACD, Y, minute, "-1.1", "7.77", part=p, after=500) for p in (1, 2)]
        for instrument in (X, Y):
            trades[instrument].append(booked(instrument, minute + 1))
    fills = [numbered("execution", instrument, records) for instrument, records in trades.items()]
    return signals, fills


def portfolios(records: Iterable[Record]) -> list[Portfolio]:
    return [record for record in records if isinstance(record, Portfolio)]


def expected() -> list[Record]:
    signals, fills = running()
    machine = make()
    flat = [message for queue in signals for message in queue]
    first = feed(machine, flat, "signals")
    return first + feed(machine, [m for queue in fills for m in queue], "fills")


def test_it_acts_from_the_latest_join_on_and_tells_the_epochs_first() -> None:
    records = expected()
    assert [type(record) for record in records] == [Epoch, Epoch, *[Portfolio] * (LAST - 1)]
    assert [e.instrument for e in records[:2] if isinstance(e, Epoch)] == [X, Y]
    decided = portfolios(records)
    assert [p.time for p in decided] == [at(minute) for minute in range(2, LAST + 1)]
    assert decided[0].cash == decided[0].equity == 10_000
    assert [(o.strategy, o.instrument) for o in decided[0].opinions] == [
        (MACD, X), (MACD, Y), (MOMENTUM, X), (MOMENTUM, Y)
    ]  # fmt: skip
    assert [(m.instrument, m.price) for m in decided[0].marks] == [(X, 102), (Y, 102)]


def test_the_books_balance_at_every_decision_time() -> None:
    for portfolio in portfolios(expected()):
        prices = {m.instrument: m.price for m in portfolio.marks if m.price is not None}
        assert portfolio.equity == 10_000 + totals(portfolio.holdings, prices).profit
    assert [(h.strategy, h.instrument) for h in portfolio.holdings] == [
        (MACD, X), (MACD, Y), (MOMENTUM, X)
    ]  # fmt: skip


def test_the_origin_is_the_last_signal_in_canonical_order() -> None:
    signals, _ = running()
    machine = make()
    outputs = [
        output
        for offset, message in enumerate(m for queue in reversed(signals) for m in queue)
        for output in machine.take(Inbound(message, "signals", 0, offset))
    ]
    assert {output.message.origin for output in outputs} == {f"momentum/{Y}/{ACCOUNT}/4"}
    assert [output.message.name for output in outputs] == [
        f"portfolio/{ACCOUNT}/{ACCOUNT}/{number}" for number in (1, 2, 3)
    ]
    assert {(output.topic, output.key) for output in outputs} == {("portfolio", ACCOUNT)}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_arrival_order_decides_nothing(seed: int) -> None:
    rng = random.Random(seed)
    signals, fills = running()
    world = World(make, {"signals": merge(rng, signals), "fills": merge(rng, fills)}, rng, 0)
    records = [output.message.record for output in world.run()]
    assert records == expected()
    assert world.machine.needs() == {}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_a_crash_anywhere_changes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    signals, fills = running()
    logs = {
        "signals": with_commands(rng, with_repeats(rng, merge(rng, signals))),
        "fills": with_repeats(rng, merge(rng, fills)),
    }
    calm = World(make, logs, random.Random(1), 0)
    stormy = World(make, logs, rng, 0.06)
    assert stormy.run() == calm.run()
    assert stormy.machine.durable() == calm.machine.durable()
    acted = [
        i.command for p in portfolios(o.message.record for o in calm.run()) for i in p.instructions
    ]
    assert len(acted) == len(dict.fromkeys(acted))


def test_the_crashes_of_the_test_above_happen() -> None:
    signals, fills = running()
    rng = random.Random(7)
    world = World(make, {"signals": merge(rng, signals), "fills": merge(rng, fills)}, rng, 0.06)
    world.run()
    assert world.crashes > 2


def with_commands(rng: random.Random, log: Sequence[Message]) -> list[Message]:
    result = list(log)
    for name in ("c1", "c2", "c3", "c1"):
        result.insert(rng.randrange(len(result) + 1), Message(command(Action.HALT, name)))
    return result


def single(minutes: int, **changes: Any) -> list[Message]:
    """Return the only sender of an account of one strategy and one instrument."""
    return sender(
        MOMENTUM, X, [epoch(account(**changes)), join(X, 1), *views(MOMENTUM, X, 1, minutes)]
    )


def nothing_filled(minutes: int) -> list[Message]:
    return numbered("execution", X, [booked(X, minute) for minute in range(2, minutes + 1)])


def test_a_command_acts_at_the_first_time_completed_behind_it_though_fills_are_late() -> None:
    begun, joined, first, second, third = single(3)
    log = [begun, joined, Message(command(Action.HALT, "a")), first, second,
           Message(command(Action.RESUME, "b")), third]  # fmt: skip
    machine = make()
    records = feed(machine, log, "signals") + feed(machine, nothing_filled(3), "fills")
    acted = [[i.command for i in p.instructions] for p in portfolios(records)]
    assert acted == [[f"command/{ACCOUNT}/a"], [], [f"command/{ACCOUNT}/b"]]


def test_a_repeated_signal_does_not_complete_a_time_again() -> None:
    begun, joined, first, second, third = single(3)
    log = [begun, joined, first, second, Message(command(Action.HALT)), second, third]
    machine = make()
    records = feed(machine, log, "signals") + feed(machine, nothing_filled(3), "fills")
    assert [len(p.instructions) for p in portfolios(records)] == [0, 0, 1]


def test_a_double_click_is_one_command() -> None:
    begun, joined, first, second = single(2)
    halt = Message(command(Action.HALT))
    machine = make()
    records = feed(machine, [begun, joined, halt, halt, first, halt, second], "signals")
    records += feed(machine, nothing_filled(2), "fills")
    assert [len(p.instructions) for p in portfolios(records)] == [1, 0]


def test_what_is_held_in_memory_is_still_needed() -> None:
    begun, joined, first, second = single(2)
    machine = make()
    feed(machine, [begun, joined], "signals")
    assert machine.needs() == {"signals": 0}
    feed(machine, [first], "signals", start=2)
    assert machine.needs() == {}
    feed(machine, [Message(command(Action.HALT)), second], "signals", start=3)
    assert machine.needs() == {"signals": 3}
    feed(machine, nothing_filled(2), "fills")
    assert machine.needs() == {}
    assert machine.revision == 2


def test_a_hole_stops_it() -> None:
    begun, _, first = single(1)
    with pytest.raises(HoleError, match="number 2 of that sender was due"):
        feed(make(), [begun, first], "signals")


def test_a_record_of_another_topic_stops_it() -> None:
    zero = Decimal(0)
    candle = Candle(
        X, MINUTE, at(1), None, None, None, None, zero, zero, zero, 0, None, None, True, 0, 0
    )
    with pytest.raises(ForeignRecordError, match="signals/0/0 held a candle"):
        feed(make(), numbered("candles", X, [candle]), "signals")


def test_it_says_what_it_waits_for() -> None:
    signals, fills = running()
    machine = make()
    assert machine.waiting() == ""
    feed(machine, signals[0][:1], "signals")
    assert machine.waiting().startswith("join or leave of macd/BINANCE:BTCUSDT and ")
    feed(machine, signals[0][1:] + signals[1] + signals[2], "signals", start=1)
    assert machine.waiting() == "join or leave of macd/BINANCE:ETHUSDT"
    feed(machine, signals[3][:2], "signals", start=50)
    assert machine.waiting() == "signals of macd/BINANCE:ETHUSDT for 00:02"
    feed(machine, signals[3][2:], "signals", start=60)
    assert machine.waiting() == "fills of BINANCE:BTCUSDT and 1 more through 00:03"
    feed(machine, [m for queue in fills for m in queue], "fills")
    assert machine.waiting() == ""


def test_an_unknown_price_is_told_and_a_known_one_kept() -> None:
    log = sender(MOMENTUM, X, [
        epoch(account()), join(X, 1), signal(MOMENTUM, X, 1, None), signal(MOMENTUM, X, 2, "50"),
        signal(MOMENTUM, X, 3, None),
    ])  # fmt: skip
    done = numbered("execution", X, [
        booked(X, 2), fill(MOMENTUM, X, 2, "2", "49", fee="0.5"), booked(X, 3)
    ])  # fmt: skip
    machine = make()
    first, second, third = portfolios(feed(machine, log, "signals") + feed(machine, done, "fills"))
    assert [p.marks[0].price for p in (first, second, third)] == [None, 50, None]
    assert third.equity == 10_000 - 98 - Decimal("0.5") + 100


# --- configurations that change -------------------------------------------------------------------


def run(
    signals: Sequence[Sequence[Message]], fills: Sequence[Sequence[Message]], seed: int
) -> list[Record]:
    """Run senders in a random order through crashes."""
    rng = random.Random(seed)
    logs = {"signals": merge(rng, signals), "fills": merge(rng, fills)}
    return [output.message.record for output in World(make, logs, rng, 0.05).run()]


def told(records: Iterable[Record]) -> list[str]:
    """Return the outputs in short: an epoch's number, or a portfolio's minute, epoch, opinions."""
    short: list[str] = []
    for record in records:
        if isinstance(record, Epoch):
            short.append(f"epoch {record.number} {record.instrument[8:11]}")
        elif isinstance(record, Portfolio):
            minute = (record.time - at(0)) // MINUTE
            pairs = " ".join(f"{o.strategy[:3]}/{o.instrument[8:11]}" for o in record.opinions)
            short.append(f"{minute} under {record.epoch}: {pairs}")
    return short


SEEDS = range(10)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_new_instrument_takes_part_from_the_latest_join_on(seed: int) -> None:
    old, new = account(), account(instruments=(X, Y))
    x = sender(MOMENTUM, X, [
        epoch(old), join(X, 1), *views(MOMENTUM, X, 1, 2), epoch(new, X, 2), join(X, 4, 2),
        *views(MOMENTUM, X, 3, 3), *views(MOMENTUM, X, 4, 7, 2),
    ])  # fmt: skip
    y = sender(MOMENTUM, Y, [epoch(new, Y, 2), join(Y, 5, 2), *views(MOMENTUM, Y, 5, 7, 2)])
    done = [
        numbered("execution", X, [booked(X, minute) for minute in range(2, 8)]),
        numbered("execution", Y, [booked(Y, minute) for minute in range(6, 8)]),
    ]
    assert told(run([x, y], done, seed)) == [
        "epoch 1 BTC", *(f"{m} under 1: mom/BTC" for m in (1, 2, 3, 4)),
        "epoch 2 BTC", "epoch 2 ETH", *(f"{m} under 2: mom/BTC mom/ETH" for m in (5, 6, 7)),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_an_instrument_that_leaves_is_awaited_once_more_and_stays_in_the_books(seed: int) -> None:
    old, new = account(instruments=(X, Y)), account()
    x = sender(MOMENTUM, X, [
        epoch(old), join(X, 1), *views(MOMENTUM, X, 1, 2), epoch(new, X, 2), join(X, 5, 2),
        *views(MOMENTUM, X, 3, 4), *views(MOMENTUM, X, 5, 6, 2),
    ])  # fmt: skip
    y = sender(MOMENTUM, Y, [
        epoch(old, Y), join(Y, 1), *views(MOMENTUM, Y, 1, 2), leave(Y, 3, 2)
    ])  # fmt: skip
    last = fill(MOMENTUM, Y, 2, "3", "100", fee="1")
    done = [
        numbered("execution", X, [booked(X, minute) for minute in range(2, 7)]),
        numbered("execution", Y, [booked(Y, 2), last, booked(Y, 3, final=True)]),
    ]
    records = run([x, y], done, seed)
    assert told(records) == [
        "epoch 1 BTC", "epoch 1 ETH", *(f"{m} under 1: mom/BTC mom/ETH" for m in (1, 2)),
        *(f"{m} under 1: mom/BTC" for m in (3, 4)),
        "epoch 2 BTC", *(f"{m} under 2: mom/BTC" for m in (5, 6)),
    ]  # fmt: skip
    final = portfolios(records)[-1]
    assert [(h.instrument, h.quantity) for h in final.holdings] == [(Y, 3)]
    assert [m.instrument for m in final.marks] == [X]
    assert final.equity == 10_000 - 301 + 3 * 102


@pytest.mark.parametrize("seed", SEEDS)
def test_a_strategy_is_replaced_where_the_join_says(seed: int) -> None:
    old, new = account(instruments=(X, Y)), account(instruments=(X, Y), strategies=(MACD,))
    # The dropped strategy ends at each instrument's own join, the new one begins there.
    signals = [
        sender(MOMENTUM, X, [epoch(old), join(X, 1), *views(MOMENTUM, X, 1, 2)]),
        sender(MOMENTUM, Y, [epoch(old, Y), join(Y, 1), *views(MOMENTUM, Y, 1, 4)]),
        sender(MACD, X, [epoch(new, X, 2), join(X, 3, 2), *views(MACD, X, 3, 6, 2)]),
        sender(MACD, Y, [epoch(new, Y, 2), join(Y, 5, 2), *views(MACD, Y, 5, 6, 2)]),
    ]
    done = [numbered("execution", i, [booked(i, m) for m in range(2, 7)]) for i in (X, Y)]
    assert told(run(signals, done, seed)) == [
        "epoch 1 BTC", "epoch 1 ETH", *(f"{m} under 1: mom/BTC mom/ETH" for m in (1, 2)),
        *(f"{m} under 1: mom/ETH" for m in (3, 4)),
        "epoch 2 BTC", "epoch 2 ETH", *(f"{m} under 2: mac/BTC mac/ETH" for m in (5, 6)),
    ]  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_all_instruments_are_replaced_with_a_pause_between(seed: int) -> None:
    old, new = account(), account(instruments=(Y,))
    x = sender(MOMENTUM, X, [epoch(old), join(X, 1), *views(MOMENTUM, X, 1, 2), leave(X, 3, 2)])
    y = sender(MOMENTUM, Y, [epoch(new, Y, 2), join(Y, 5, 2), *views(MOMENTUM, Y, 5, 6, 2)])
    rng = random.Random(seed)
    logs = {
        "signals": x[:1] + merge(rng, [x[1:], y]),
        "fills": merge(
            rng,
            [
                numbered("execution", X, [booked(X, 2), booked(X, 3, final=True)]),
                numbered("execution", Y, [booked(Y, 6)]),
            ],
        ),
    }
    outputs = World(make, logs, rng, 0.05).run()
    assert told(output.message.record for output in outputs) == [
        "epoch 1 BTC", "1 under 1: mom/BTC", "2 under 1: mom/BTC",
        "epoch 2 ETH", "5 under 2: mom/ETH", "6 under 2: mom/ETH",
    ]  # fmt: skip


@pytest.mark.parametrize("seed", SEEDS)
def test_an_instrument_is_delisted_and_comes_back(seed: int) -> None:
    rules = account(instruments=(X, Y))
    x = sender(MOMENTUM, X, [
        epoch(rules), join(X, 1), *views(MOMENTUM, X, 1, 3), epoch(rules, X, 2), join(X, 5, 2),
        *views(MOMENTUM, X, 4, 4), *views(MOMENTUM, X, 5, 7, 2),
    ])  # fmt: skip
    y = sender(MOMENTUM, Y, [
        epoch(rules, Y), join(Y, 1), *views(MOMENTUM, Y, 1, 2), leave(Y, 3),
        epoch(rules, Y, 2), join(Y, 5, 2), *views(MOMENTUM, Y, 5, 7, 2),
    ])  # fmt: skip
    done = [
        numbered("execution", X, [booked(X, m) for m in range(2, 8)]),
        numbered("execution", Y, [booked(Y, 2), booked(Y, 3, final=True), booked(Y, 6),
                                  fill(MOMENTUM, Y, 6, "1"), booked(Y, 7)]),
    ]  # fmt: skip
    records = run([x, y], done, seed)
    assert told(records) == [
        "epoch 1 BTC", "epoch 1 ETH", *(f"{m} under 1: mom/BTC mom/ETH" for m in (1, 2)),
        *(f"{m} under 1: mom/BTC" for m in (3, 4)),
        "epoch 2 BTC", "epoch 2 ETH", *(f"{m} under 2: mom/BTC mom/ETH" for m in (5, 6, 7)),
    ]  # fmt: skip
    assert portfolios(records)[-1].holdings[0].quantity == 1


def test_nothing_that_has_left_is_still_needed() -> None:
    x = sender(MOMENTUM, X, [epoch(account(instruments=(X, Y))), join(X, 1),
                             *views(MOMENTUM, X, 1, 4)])  # fmt: skip
    y = sender(MOMENTUM, Y, [epoch(account(instruments=(X, Y)), Y), join(Y, 1),
                             *views(MOMENTUM, Y, 1, 2), leave(Y, 3)])  # fmt: skip
    machine = make()
    feed(machine, x + y, "signals")
    feed(machine, nothing_filled(4), "fills")
    feed(machine, numbered("execution", Y, [booked(Y, 2), booked(Y, 3, final=True)]), "fills", 10)
    assert machine.time == at(4)
    assert machine.needs() == {}


def test_views_are_passed_on_as_they_are() -> None:
    log = sender(
        MOMENTUM, X, [epoch(account()), join(X, 1), signal(MOMENTUM, X, 1, view=View.LONG)]
    )
    (portfolio,) = portfolios(feed(make(), log, "signals"))
    assert portfolio.opinions[0].view is View.LONG
    assert portfolio.opinions[0].signal == f"momentum/{X}/{ACCOUNT}/3"


def test_a_successor_goes_on_where_the_state_ends() -> None:
    log = single(3)
    machine = make()
    outputs = [o for n, m in enumerate(log[:3]) for o in machine.take(Inbound(m, "signals", 0, n))]
    successor = make(machine.durable())
    feed(machine, log[3:], "signals", start=3)  # must not reach into the state it gave away
    records = feed(successor, log, "signals") + feed(successor, nothing_filled(3), "fills")
    assert [p.time for p in portfolios(records)] == [at(2), at(3)]
    assert len(once(outputs)) == 2


def test_fills_are_booked_by_time_in_whatever_order_they_were_sent() -> None:
    done = numbered("execution", X, [
        fill(MOMENTUM, X, 1, "1", "100"), booked(X, 2),
        fill(MOMENTUM, X, 2, "1", "200", after=500), fill(MOMENTUM, X, 2, "-1", "150", after=200),
        booked(X, 3),
    ])  # fmt: skip
    machine = make()
    records = feed(machine, single(3), "signals") + feed(machine, done, "fills")
    (holding,) = portfolios(records)[-1].holdings
    assert (holding.cost, holding.realised) == (200, 50)


def test_a_command_that_has_acted_is_skipped_when_it_is_read_again() -> None:
    begun, joined, first = single(1)
    log = [begun, joined, Message(command(Action.HALT)), first]
    machine = make()
    feed(machine, log, "signals")
    successor = make(machine.durable())
    assert feed(successor, log, "signals") == []
    assert successor.needs() == {}
    assert successor.durable() == machine.durable()


def test_the_last_booked_of_a_former_stay_counts_no_more() -> None:
    rules = account(instruments=(X, Y))
    x = sender(MOMENTUM, X, [
        epoch(rules), join(X, 1), *views(MOMENTUM, X, 1, 2), epoch(rules, X, 2), join(X, 4, 2),
        *views(MOMENTUM, X, 3, 3), *views(MOMENTUM, X, 4, 5, 2),
    ])  # fmt: skip
    y = sender(MOMENTUM, Y, [
        epoch(rules, Y), join(Y, 1), *views(MOMENTUM, Y, 1, 2), leave(Y, 3),
        epoch(rules, Y, 2), join(Y, 4, 2), *views(MOMENTUM, Y, 4, 5, 2),
    ])  # fmt: skip
    last, again = (
        [booked(Y, 2), booked(Y, 3, final=True)],
        [fill(MOMENTUM, Y, 4, "1"), booked(Y, 5)],
    )
    fills = numbered("execution", Y, [*last, *again])
    machine = make()
    feed(machine, nothing_filled(5) + fills[:2], "fills")
    feed(machine, x + y, "signals")
    assert machine.time == at(4)
    assert machine.waiting() == "fills of BINANCE:ETHUSDT through 00:05"
    (portfolio,) = portfolios(feed(machine, fills[2:], "fills", start=6))
    assert [(h.instrument, h.quantity) for h in portfolio.holdings] == [(Y, 1)]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_leave_after_the_latest_join_is_what_a_configuration_waits_for(seed: int) -> None:
    old, new = account(instruments=(X, Y)), account()
    x = sender(MOMENTUM, X, [
        epoch(old), join(X, 1), *views(MOMENTUM, X, 1, 1), epoch(new, X, 2), join(X, 3, 2),
        *views(MOMENTUM, X, 2, 2), *views(MOMENTUM, X, 3, 6, 2),
    ])  # fmt: skip
    y = sender(MOMENTUM, Y, [
        epoch(old, Y), join(Y, 1), *views(MOMENTUM, Y, 1, 4), leave(Y, 5, 2)
    ])  # fmt: skip
    done = [
        numbered("execution", X, [booked(X, m) for m in range(2, 7)]),
        numbered("execution", Y, [*(booked(Y, m) for m in range(2, 5)), booked(Y, 5, final=True)]),
    ]
    assert told(run([x, y], done, seed)) == [
        "epoch 1 BTC", "epoch 1 ETH", *(f"{m} under 1: mom/BTC mom/ETH" for m in (1, 2, 3, 4)),
        "epoch 2 BTC", *(f"{m} under 2: mom/BTC" for m in (5, 6)),
    ]  # fmt: skip
