"""What is changed in a fork, and nothing else: strategies, limits, terms, later configurations."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from app.backtest.words import overrides
from app.core.events import Candle, Epoch, Fill, Orders, Output, Portfolio, Record, Signal
from app.core.strategies import STRATEGIES
from app.core.strategies.base import Bar
from app.errors import ConfigurationError
from app.forks.whatif_change import Variant, changes
from app.forks.whatif_point import restore
from app.runtime.codec import decode
from tests.forks.recorded import Memory, by_name, memory, moments, open_at, went_on
from tests.replay.market import ALPHA, CHANGE, INTERVAL, A, B, C, end

R = TypeVar("R", bound=Record)
FAST = "accounts.alpha.strategies.macd.fast=2"
QUIETLY = "accounts.alpha.risk.stale_after=5001"
"""A configuration that is another one and decides the same."""


@pytest.fixture(autouse=True)
def _snapshots_at_every_third_decision_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.runtime.stage.DAY", 3 * INTERVAL)


@pytest.fixture
async def source() -> Memory:
    return await memory(0)


def variant(*words: str) -> Variant:
    return Variant("it", tuple(overrides(words)))


def of(outputs: Iterable[Output], kind: type[Any], account: str = "alpha") -> list[Any]:
    """Return the records of an account by time, without what tells configurations apart."""
    found: list[Any] = []
    for output in outputs:
        record: Any = output.message.record
        if isinstance(record, kind) and getattr(record, "account", account) == account:
            known = {"epoch": 0} if hasattr(record, "epoch") else {}
            found.append(replace(record, **known))
    return sorted(found, key=_place)


def _place(record: Any) -> tuple[Any, ...]:
    names = ("instrument", "strategy", "order_id", "part")
    return (record.time, *(getattr(record, name, "") for name in names))


def parents(source: Memory, kind: type[Any], account: str = "alpha") -> list[Any]:
    messages = [decode(raw) for raw in source.run.derived().values()]
    return of([Output("", "", message) for message in messages], kind, account)


async def test_a_new_configuration_that_decides_the_same_changes_no_decision(
    source: Memory,
) -> None:
    """All that is restored goes on through the change: indicators, views, targets, open orders."""
    working, derived = 0, source.run.derived()
    whole = {kind: parents(source, kind) for kind in (Signal, Orders, Fill, Portfolio)}
    for time in moments(3, 8):
        point, made = await went_on(source, time, variant(QUIETLY))
        for kind, expected in whole.items():
            found = of(made, kind)
            assert [_plain(each) for each in found if each.time >= point.decision] == [
                _plain(each) for each in expected if each.time >= point.decision
            ]
        assert {each.epoch for each in _records(made, Orders) if each.account == "alpha"} == {2}
        working += bool(open_at(time, derived))
    assert working > 2


def _records(made: Iterable[Output], kind: type[R]) -> list[R]:
    return [output.message.record for output in made if isinstance(output.message.record, kind)]


def _plain(record: Any) -> Any:
    """Return a record without the names of others, which count higher after a change."""
    if isinstance(record, Portfolio):
        return replace(record, opinions=tuple(replace(each, signal="") for each in record.opinions))
    if isinstance(record, Orders):
        return replace(record, orders=tuple(replace(each, signal="") for each in record.orders))
    return record


async def test_other_accounts_are_left_alone(source: Memory) -> None:
    _, unchanged = await went_on(source, end(13) + 99)
    _, made = await went_on(source, end(13) + 99, variant(FAST))
    mine = _of_beta(made)
    assert mine == _of_beta(unchanged)
    assert len(mine) > 100


def _of_beta(made: list[Output]) -> dict[str, Record]:
    """Return its records by name; their origins count candles, which a change adds records to."""
    by_name(made)
    return {
        output.message.name: output.message.record
        for output in made
        if "/beta/" in output.message.name
    }


async def test_a_changed_strategy_has_seen_just_the_candles_that_it_wants(source: Memory) -> None:
    point, made = await went_on(source, end(30) + 4_321, variant(FAST))
    strategy = STRATEGIES["macd"]
    parameters = strategy.parse({"fast": "2", "slow": "6", "signal": "3"})
    count = strategy.warmup(parameters)
    for instrument in (A, B):
        candles = {
            each.time: each
            for each in parents(source, Candle)
            if each.instrument == instrument and each.revision == 0
        }
        state, views = strategy.state(), {}
        for at in sorted(candles):
            if at >= point.decision - count * INTERVAL:
                state, advice = strategy.update(parameters, state, _bar(candles[at]))
                views[at] = (advice.view, advice.indicators)
        found = {
            each.time: (each.view, each.indicators)
            for each in of(made, Signal)
            if (each.strategy, each.instrument) == ("macd", instrument) and each.complete
        }
        assert len(found) > 5
        assert found == {at: views[at] for at in found}


def _bar(candle: Candle) -> Bar:
    high, low = float(candle.high or 0), float(candle.low or 0)
    first, last = float(candle.open or 0), float(candle.close or 0)
    return Bar(candle.time, first, high, low, last, float(candle.volume), candle.complete)


async def test_strategies_that_stay_go_on_from_the_state_they_had(source: Memory) -> None:
    point, made = await went_on(source, end(20) + 5, variant(FAST))
    kept = [each for each in of(made, Signal) if each.strategy == "momentum"]
    assert kept == [
        each
        for each in parents(source, Signal)
        if each.strategy == "momentum" and each.time >= point.decision
    ]
    changed = [each for each in of(made, Signal) if each.strategy == "macd"]
    assert changed != [
        each
        for each in parents(source, Signal)
        if each.strategy == "macd" and each.time >= point.decision
    ]


async def test_a_strategy_can_be_added_and_left_out(source: Memory) -> None:
    time = end(22) + 1
    only = variant("accounts.alpha.strategies={macd: {fast: '3', slow: '6', signal: '3'}}")
    point, made = await went_on(source, time, only)
    assert {each.strategy for each in of(made, Signal)} == {"macd"}
    (last,) = of(made, Portfolio)[-1:]
    assert [each.quantity for each in last.holdings if each.strategy == "momentum"] == [0, 0]
    both = variant("accounts.beta.strategies.macd={fast: '3', slow: '6', signal: '3'}")
    _, made = await went_on(source, time, both)
    signals = [each for each in of(made, Signal, "beta") if each.time == point.decision]
    assert {(each.strategy, each.instrument) for each in signals} == {
        (strategy, name) for strategy in ("macd", "momentum") for name in (A, B, C)
    }


async def test_open_orders_are_filled_under_the_terms_they_were_given_under(
    source: Memory,
) -> None:
    time = next(
        time for time in moments(5, 50) if open_at(time, source.run.derived()) and time % INTERVAL
    )
    costly = variant("accounts.alpha.execution.taker_fee=100")
    point, made = await went_on(source, time, costly)
    fills = of(made, Fill)
    before = [each for each in fills if each.decision_time < point.decision]
    assert before
    assert {_key(each): each for each in before}.items() <= {
        _key(each): each for each in parents(source, Fill)
    }.items()
    later = [each for each in fills if each.decision_time >= point.decision]
    rates = {round(each.fee / (each.price * each.quantity), 6) for each in later}
    assert [float(rate) for rate in rates] == [0.01]


def _key(fill: Fill) -> tuple[str, int]:
    return fill.order_id, fill.part


async def test_the_runs_own_later_configuration_comes_with_the_change_laid_over_it(
    source: Memory,
) -> None:
    small = variant("accounts.beta.risk.order_notional=1500")
    point, made = await went_on(source, end(CHANGE - 6), small)
    epochs = [
        output.message.record
        for output in made
        if output.topic == "portfolio" and isinstance(output.message.record, Epoch)
    ]
    assert {each.number for each in epochs} == {2, 3}
    assert {int(each.account.risk.order_notional) for each in epochs} == {1500}
    assert {each.instrument for each in epochs if each.number == 3} == {A, B}
    times = [each.time for each in of(made, Portfolio, "beta")]
    assert times == [t for t in _times(source, "beta") if t >= point.decision]


def _times(source: Memory, account: str) -> list[int]:
    return sorted(each.time for each in parents(source, Portfolio, account))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["accounts.gamma.capital=1"], "no account 'gamma' had decided"),
        (["accounts.alpha.capital=1"], "is what it earned"),
        (["accounts.alpha.instruments=[SIM:AAAUSDT]"], "what a run traded"),
        (["interval=1m"], "only settings of an account"),
        (["accounts.alpha.strategies.macd.fast=0"], "macd"),
    ],
)
async def test_what_can_not_be_changed_is_refused(
    source: Memory, words: list[str], told: str
) -> None:
    async with source.open() as run:
        point = await restore(run, end(15))
    with pytest.raises(ConfigurationError, match=told):
        changes(point, variant(*words))


async def test_a_fork_from_between_two_configurations_is_refused(source: Memory) -> None:
    async with source.open() as run:
        point = await restore(run, end(CHANGE))
    with pytest.raises(ConfigurationError, match="was changing from configuration 1"):
        changes(point, variant("accounts.beta.risk.order_notional=1500"))


async def test_before_anything_was_decided_there_is_nothing_to_fork(source: Memory) -> None:
    async with source.open() as run:
        with pytest.raises(ConfigurationError, match="nothing had been decided by"):
            await restore(run, end(0) - 1)


async def test_a_setting_that_is_what_it_was_is_no_change(source: Memory) -> None:
    async with source.open() as run:
        point = await restore(run, end(random.Random(1).randrange(5, 25)))
    same = f"accounts.alpha.risk.order_notional={ALPHA.risk.order_notional}"
    assert changes(point, variant(same)) == ()
