"""A strategy's stage: who gets signals, from when, under which configuration, made of what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.events import (
    Account,
    Candle,
    Clock,
    Epoch,
    Leave,
    Output,
    Record,
    Signal,
    StrategySetting,
    View,
)
from app.core.flow import HoleError
from app.core.strategies.base import ParameterError
from app.core.strategies.machine import StrategyMachine, StrategyState
from app.runtime.codec import decode_state, encode, encode_state
from tests.core import builders
from tests.core.builders import INSTRUMENT, MINUTE, START, epoch, history, join, leave

QUICK = {"lookback": "1", "entry": "0.01"}


def candle(minute: int, close: str | None, **changes: Any) -> Candle:
    """Return the candle that ends `minute` minutes after START."""
    price = None if close is None else Decimal(close)
    empty = Candle(
        INSTRUMENT, MINUTE, START + minute * MINUTE, price, price, price, price,
        Decimal(1), Decimal(1), Decimal(0), 0, None, None, True, 5, 0,
    )  # fmt: skip
    return replace(empty, **changes)


def account(name: str = "paper", **strategies: dict[str, str]) -> Account:
    return builders.account(
        name,
        strategies=tuple(StrategySetting(key, values) for key, values in strategies.items()),
    )


def started(values: dict[str, str], minute: int = 1, number: int = 1) -> list[Record]:
    """Return an epoch for momentum and its join, without a history."""
    of = account(momentum=values)
    return [epoch(number, of), join(minute * MINUTE, epoch=number)]


class Bench:
    """Feeds one machine as the stage before it would."""

    def __init__(self, name: str = "momentum", *, forget: bool = False) -> None:
        self.machine = StrategyMachine(name, INSTRUMENT, None)
        self._name = name
        self._taken = 0
        self._forget = forget

    def give(self, *records: Record) -> list[Output]:
        outputs: list[Output] = []
        for record in records:
            self._taken += 1
            message = builders.derived(
                record, self._taken, stage="candles", source=INSTRUMENT, destination=INSTRUMENT
            )
            outputs += self.machine.take(builders.inputs("candles", [message], self._taken)[0])
            assert self.machine.needs() == {}
            assert self.machine.waiting() == ""
            if self._forget:
                self.restart()
        return outputs

    def restart(self) -> None:
        text = encode_state(self.machine.durable())
        state = decode_state(StrategyState, text)
        self.machine = StrategyMachine(self._name, INSTRUMENT, state)
        assert encode_state(self.machine.durable()) == text

    def signals(self, *records: Record) -> list[Signal]:
        made = [output.message.record for output in self.give(*records)]
        return [record for record in made if isinstance(record, Signal)]


def views(signals: Iterable[Signal]) -> list[View]:
    return [signal.view for signal in signals]


def test_a_signal_for_every_candle_from_the_join_on() -> None:
    signals = Bench().signals(
        *started(QUICK, minute=2), *(candle(minute, "100") for minute in range(1, 5))
    )
    assert [signal.time for signal in signals] == [START + minute * MINUTE for minute in (2, 3, 4)]
    assert views(signals) == [View.NOT_READY, View.FLAT, View.FLAT]


def test_a_signal_carries_the_candle_and_its_origin() -> None:
    bench = Bench()
    bench.give(*started(QUICK))
    (output,) = bench.give(candle(1, "100.50", age=7))
    signal = output.message.record
    assert isinstance(signal, Signal)
    assert (output.topic, output.key) == ("signals", "paper")
    assert str(output.message.identity) == f"momentum/{INSTRUMENT}/paper/3"
    assert output.message.origin == f"candles/{INSTRUMENT}/{INSTRUMENT}/3"
    assert (signal.account, signal.instrument, signal.strategy) == ("paper", INSTRUMENT, "momentum")
    assert (signal.epoch, signal.price) == (1, Decimal("100.50"))
    assert (signal.complete, signal.age) == (True, 7)
    assert bench.machine.time == signal.time == START + MINUTE


def test_history_makes_it_ready_at_once_and_is_not_passed_on() -> None:
    bench = Bench()
    of = account(momentum={"lookback": "3", "entry": "0.01"})
    passed = bench.give(epoch(1, of), history(0, ["100", "101", "102"]), join(MINUTE))
    assert [output.message.record.TYPE for output in passed] == ["epoch", "join"]
    (signal,) = bench.signals(candle(1, "110"))
    assert (signal.view, signal.indicators) == (View.LONG, {"return": 110.0 / 100.0 - 1.0})


def test_history_in_parts_and_candles_after_it_count_once() -> None:
    values = {"lookback": "3", "entry": "0.01"}
    bench = Bench()
    bench.give(
        candle(-1, "1"),
        epoch(1, account(momentum=values)),
        candle(0, "1"),
        history(0, ["100", "101", "102"]),
        history(MINUTE, ["101", "102", "103"]),
        candle(1, "999"),
        candle(2, "104"),
        join(3 * MINUTE),
    )
    (signal,) = bench.signals(candle(3, "105"))
    assert signal.indicators == {"return": 105.0 / 102.0 - 1.0}


def test_a_history_that_would_look_ahead_is_refused() -> None:
    bench = Bench()
    bench.give(epoch(1, account(momentum=QUICK)), history(2 * MINUTE, ["1", "2"]))
    with pytest.raises(ValueError, match=r"must end before the join's time"):
        bench.give(join(2 * MINUTE))


def test_a_history_of_another_interval_is_refused() -> None:
    bench = Bench()
    bench.give(epoch(1, account(momentum=QUICK)))
    with pytest.raises(ValueError, match="had intervals of 1000 ms, but its epoch 1 was of 60000"):
        bench.give(history(0, ["1"], interval=1000))


def test_accounts_have_their_own_parameters_and_warm_up() -> None:
    bench = Bench()
    slow = account("slow", momentum={"lookback": "2", "entry": "0.01"})
    bench.give(
        *started(QUICK),
        candle(1, "100"),
        epoch(1, slow),
        history(MINUTE, ["99", "100"]),
        join(3 * MINUTE, account="slow"),
        candle(2, "100"),
    )
    outputs = bench.give(candle(3, "102"))
    assert [output.key for output in outputs] == ["paper", "slow"]
    assert [str(output.message.identity)[-2:] for output in outputs] == ["/5", "/3"]


def test_an_account_that_does_not_list_the_strategy_hears_nothing() -> None:
    bench = Bench("macd")
    assert bench.give(*started(QUICK), candle(1, "100"), leave(2 * MINUTE)) == []
    assert isinstance(bench.machine.durable(), StrategyState)
    assert bench.machine.durable().accounts == {}


def test_a_new_configuration_takes_over_at_its_join() -> None:
    bench = Bench()
    bench.give(*started(QUICK), candle(1, "100"))
    bench.give(epoch(2, account(momentum={"lookback": "2", "entry": "0.01"})))
    (old,) = bench.signals(candle(2, "102"))
    bench.give(history(2 * MINUTE, ["90", "102"]), join(4 * MINUTE, epoch=2))
    (still,) = bench.signals(candle(3, "102"))
    (new,) = bench.signals(candle(4, "102"))
    assert (old.epoch, old.indicators) == (1, {"return": 102.0 / 100.0 - 1.0})
    assert (still.epoch, still.indicators) == (1, {"return": 0.0})
    assert (new.epoch, new.indicators) == (2, {"return": 0.0})
    assert len(bench.machine.durable().accounts["paper"]) == 1


def test_two_configurations_may_wait_at_once() -> None:
    bench = Bench()
    bench.give(*started(QUICK), *started(QUICK, 3, 2), *started(QUICK, 4, 3))
    signals = bench.signals(*(candle(minute, "100") for minute in range(1, 6)))
    assert [signal.epoch for signal in signals] == [1, 1, 2, 3, 3]


def test_a_configuration_without_the_strategy_ends_its_signals_at_the_join() -> None:
    bench = Bench()
    bench.give(*started(QUICK))
    without: list[Record] = [epoch(2, account(macd={})), join(3 * MINUTE, epoch=2)]
    assert bench.give(*without) == []
    assert len(bench.signals(*(candle(minute, "100") for minute in range(1, 6)))) == 2
    assert bench.machine.durable().accounts == {}


def test_a_leave_ends_signals_at_its_time_and_is_passed_on() -> None:
    bench = Bench()
    bench.give(*started(QUICK))
    (passed,) = bench.give(leave(3 * MINUTE))
    assert isinstance(passed.message.record, Leave)
    assert len(bench.signals(*(candle(minute, "100") for minute in range(1, 6)))) == 2


def test_an_instrument_that_left_can_come_back() -> None:
    bench = Bench()
    bench.give(*started(QUICK), candle(1, "100"), leave(2 * MINUTE), *started(QUICK, 4, 3))
    signals = bench.signals(*(candle(minute, "100") for minute in range(2, 6)))
    assert [(signal.epoch, signal.time) for signal in signals] == [
        (3, START + 4 * MINUTE),
        (3, START + 5 * MINUTE),
    ]


def test_an_incomplete_candle_is_not_ready_but_its_close_counts() -> None:
    bench = Bench()
    bench.give(*started(QUICK), candle(1, "100"))
    incomplete, after = bench.signals(candle(2, "200", complete=False), candle(3, "202.1"))
    assert (incomplete.view, incomplete.complete) == (View.NOT_READY, False)
    assert incomplete.reason == "The candle is incomplete: some of its trades are missing."
    assert (after.view, after.indicators) == (View.LONG, {"return": 202.1 / 200.0 - 1.0})


def test_a_candle_without_a_price_is_not_ready() -> None:
    bench = Bench()
    signals = bench.signals(*started(QUICK), candle(1, None), candle(2, "100"), candle(3, "100"))
    assert views(signals) == [View.NOT_READY, View.NOT_READY, View.FLAT]
    assert signals[0].reason == "No price is known yet."
    assert signals[0].price is None


def test_a_later_revision_changes_nothing() -> None:
    bench = Bench()
    bench.give(*started(QUICK), candle(1, "100"))
    assert bench.give(candle(1, "50", revision=1)) == []
    (signal,) = bench.signals(candle(2, "100"))
    assert signal.indicators == {"return": 0.0}


def test_a_longer_bar_repeats_its_view_in_between() -> None:
    values = {**QUICK, "every": "3"}
    closes = ["100", "100", "100", "90", "95", "102", "50", "50", "101.9"]
    signals = Bench().signals(
        *started(values), *(candle(minute, close) for minute, close in enumerate(closes, 1))
    )
    ready = [View.NOT_READY] * 5 + [View.LONG] * 3 + [View.FLAT]
    assert views(signals) == ready
    assert [signal.price for signal in signals] == [Decimal(close) for close in closes]


def test_a_longer_bar_that_was_joined_in_its_middle_is_not_complete() -> None:
    values = {**QUICK, "every": "3"}
    signals = Bench().signals(
        *started(values, minute=2), *(candle(minute, "100") for minute in range(2, 10))
    )
    assert views(signals) == [View.NOT_READY] * 4 + [View.FLAT] * 4
    assert signals[1].reason == "The bar of 3 base intervals is incomplete."


def test_a_longer_bar_with_an_incomplete_candle_is_not_ready_as_long_as_it_is_the_last() -> None:
    values = {**QUICK, "every": "2"}
    bench = Bench()
    bench.give(*started(values), *(candle(minute, "100") for minute in range(1, 5)))
    signals = bench.signals(
        candle(5, "100", complete=False),
        *(candle(minute, "100") for minute in range(6, 9)),
    )
    assert views(signals) == [View.NOT_READY, View.NOT_READY, View.NOT_READY, View.FLAT]


def test_repeats_cause_nothing_and_holes_stop_it() -> None:
    bench = Bench()
    bench.give(*started(QUICK))
    first, second = (
        builders.derived(
            candle(number, "100"),
            number,
            stage="candles",
            source=INSTRUMENT,
            destination=INSTRUMENT,
        )
        for number in (2, 5)
    )
    before = (bench.machine.revision, encode_state(bench.machine.durable()))
    assert bench.machine.take(builders.inputs("candles", [first])[0]) == []
    assert (bench.machine.revision, encode_state(bench.machine.durable())) == before
    with pytest.raises(HoleError):
        bench.machine.take(builders.inputs("candles", [second])[0])


def test_a_foreign_record_stops_it() -> None:
    with pytest.raises(TypeError, match="was a clock, which has no place on `candles`"):
        Bench().give(Clock(INSTRUMENT, 0, 0, 0))


def test_an_epoch_it_cannot_run_with_stops_it() -> None:
    with pytest.raises(ParameterError, match="parameter lookback was 'x'"):
        Bench().give(epoch(1, account(momentum={"lookback": "x"})))


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["99", "100", "101.5", "104", None]),
        st.sampled_from(["epoch", "gap", "leave"]),
    ),
    max_size=25,
)


def story(steps: list[str | None], every: int) -> list[Record]:
    """Return a valid flow: candles of every kind, with configurations that come and go."""
    records: list[Record] = []
    minute, number = 0, 0
    for step in ["epoch", *steps]:
        if step == "epoch":
            number += 1
            of = account(momentum={"lookback": str(number), "every": str(every)}, macd={})
            closes = [str(100 + back) for back in range(number + 1)]
            records += [
                epoch(number, of),
                history(minute * MINUTE, closes),
                join((minute + 2) * MINUTE, epoch=number),
            ]
        elif step == "leave":
            records.append(leave((minute + 2) * MINUTE, epoch=number))
        else:
            minute += 1
            price = "100" if step == "gap" else step
            records.append(candle(minute, price, complete=step != "gap"))
    return records


@settings(max_examples=60)
@given(STEPS, st.integers(1, 3), st.sampled_from(["momentum", "macd"]))
def test_a_restart_after_every_record_changes_nothing(
    steps: list[str | None], every: int, name: str
) -> None:
    records = story(steps, every)
    once = [encode(output.message) for output in Bench(name).give(*records)]
    again = [encode(output.message) for output in Bench(name, forget=True).give(*records)]
    assert once == again


@settings(max_examples=60)
@given(STEPS, st.integers(1, 3), st.integers(0, 60))
def test_what_comes_later_never_changes_what_was_said(
    steps: list[str | None], every: int, cut: int
) -> None:
    records = story(steps, every)
    whole = [output.message for output in Bench().give(*records)]
    prefix = [output.message for output in Bench().give(*records[:cut])]
    assert whole[: len(prefix)] == prefix


def test_epochs_are_passed_on_as_they_were() -> None:
    of = account(momentum=QUICK, macd={})
    (output,) = Bench().give(epoch(1, of))
    assert isinstance(output.message.record, Epoch)
    assert output.message.record == epoch(1, of)
    assert output.message.origin == f"candles/{INSTRUMENT}/{INSTRUMENT}/1"
