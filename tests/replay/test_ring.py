"""The whole pipeline in memory: complete, exact, and the same whatever comes first or crashes."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any, TypeVar

import pytest

from app.core.events import (
    Account,
    Action,
    Allocated,
    Booked,
    Candle,
    Clock,
    Command,
    Epoch,
    Fill,
    Filters,
    Halted,
    Join,
    Limit,
    Message,
    Orders,
    Portfolio,
    Record,
    Refusal,
    Resumed,
    RiskReport,
    Series,
    Side,
    Signal,
    StrategySetting,
    Trades,
    View,
)
from app.market.dumps import Aggregate, read_dump
from app.pipeline import STAGES
from app.replay.driver import Entry, Replay
from app.runtime.codec import decode, encode
from tests.replay import market
from tests.replay.market import CHANGE, GAP, INSTRUMENTS, INTERVAL, START, A, B, C, Market, end

INTERVALS = 40
TOPICS = ("candles", "signals", "portfolio", "allocations", "orders", "risk", "fills")
FLATTEN, RESUME = market.CLOCKED
COMMANDS = {
    FLATTEN: Command("alpha", "one", Action.FLATTEN, "a person", "to see"),
    RESUME: Command("alpha", "two", Action.RESUME, "a person", "seen"),
}
T = TypeVar("T", bound=Record)
XRP = "BINANCE:XRPETH"
DAY = Path(__file__).parents[1] / "data" / "XRPETH-trades-2019-10-11.csv"


def play(replay: Replay, source: Market, intervals: int = INTERVALS) -> Replay:
    """Feed a market to a pipeline; commands come when all before them has come to rest."""
    for number in range(intervals):
        for name in INSTRUMENTS:
            for record in source.packed[name][number]:
                replay.feed("trades", name, Message(record))
        if number in COMMANDS:
            replay.run()
            replay.feed("signals", COMMANDS[number].account, Message(COMMANDS[number]))
    replay.run()
    return replay


def outcome(replay: Replay) -> dict[str, bytes]:
    """Return every record of every topic by its name."""
    return {message.name: encode(message) for topic in TOPICS for message in replay.messages(topic)}


@pytest.fixture(scope="module")
def source() -> Market:
    return Market(seed=7, intervals=INTERVALS)


@pytest.fixture(scope="module")
def ring(source: Market) -> Replay:
    return play(Replay(STAGES), source)


def of(replay: Replay, topic: str, kind: type[T], key: str | None = None) -> list[T]:
    return [record for record in replay.records(topic, key) if isinstance(record, kind)]


def closes(replay: Replay) -> dict[tuple[str, int], Candle]:
    return {
        (candle.instrument, candle.time): candle
        for candle in of(replay, "candles", Candle)
        if candle.revision == 0
    }


def members(account: str, number: int) -> list[tuple[str, str]]:
    """Return the strategies and instruments of an account at the end of an interval."""
    instruments = (A, B) if account == "alpha" or number >= CHANGE + 2 else INSTRUMENTS
    return [
        (strategy, name)
        for name in instruments
        for strategy in ("macd", "momentum")
        if strategy == "momentum" or account == "alpha" or number >= CHANGE + 2 + (name == B)
    ]


def test_every_decision_time_has_every_record(ring: Replay) -> None:
    times = [end(number) for number in range(INTERVALS)]
    assert sorted(closes(ring)) == sorted((name, time) for name in INSTRUMENTS for time in times)
    for account in ("alpha", "beta"):
        signals = of(ring, "signals", Signal, account)
        assert sorted((one.time, one.strategy, one.instrument) for one in signals) == sorted(
            (end(number), *pair) for number in range(INTERVALS) for pair in members(account, number)
        )
        assert [one.time for one in of(ring, "portfolio", Portfolio, account)] == times
        assert [one.time for one in of(ring, "allocations", Allocated, account)] == times
        assert [one.time for one in of(ring, "risk", RiskReport, account)] == times
    assert ring.waiting() == {}


def test_every_order_gets_its_booked(ring: Replay) -> None:
    orders = {
        (one.account, one.instrument, one.time + INTERVAL): {order.order_id for order in one.orders}
        for one in of(ring, "orders", Orders)
        if one.time < end(INTERVALS - 1)
    }
    booked = {
        (one.account, one.instrument, one.time): {outcome.order_id for outcome in one.outcomes}
        for one in of(ring, "fills", Booked)
        if one.outcomes or (one.account, one.instrument, one.time) in orders
    }
    assert orders == booked
    assert any(orders.values())


def test_what_was_filled_is_what_outcomes_say(ring: Replay) -> None:
    filled: dict[str, Decimal] = {}
    for fill in of(ring, "fills", Fill):
        filled[fill.order_id] = filled.get(fill.order_id, Decimal(0)) + fill.quantity
    told = {
        outcome.order_id: outcome.filled
        for one in of(ring, "fills", Booked)
        for outcome in one.outcomes
        if outcome.filled
    }
    assert told == filled
    assert filled


@pytest.mark.parametrize("account", ["alpha", "beta"])
def test_cash_and_equity_are_what_fills_and_candles_make_them(ring: Replay, account: str) -> None:
    """Computed from fills and candles alone, exactly."""
    candles = closes(ring)
    fills = of(ring, "fills", Fill, account)
    with localcontext(prec=100):
        for one in of(ring, "portfolio", Portfolio, account):
            cash = Decimal(10_000)
            held = dict.fromkeys(INSTRUMENTS, Decimal(0))
            for fill in fills:
                if fill.time < one.time:
                    signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
                    held[fill.instrument] += signed
                    cash -= signed * fill.price + fill.fee
            assert one.cash == cash
            worth = sum(held[name] * mark(candles, one, name) for name in INSTRUMENTS)
            assert one.equity == cash + worth


def mark(candles: dict[tuple[str, int], Candle], at: Portfolio, name: str) -> Decimal:
    """Return the close, for an instrument that has left the last one it took part at."""
    left = at.account == "beta" and name == C and at.time >= end(CHANGE + 2)
    close = candles[name, end(CHANGE + 1) if left else at.time].close
    assert close is not None
    return close


@pytest.mark.parametrize("account", ["alpha", "beta"])
def test_equity_is_capital_and_what_strategies_made(ring: Replay, account: str) -> None:
    candles = closes(ring)
    with localcontext(prec=100):
        for one in of(ring, "portfolio", Portfolio, account):
            made = Decimal(0)
            for each in one.holdings:
                unrealised = each.quantity * mark(candles, one, each.instrument) - each.cost
                made += each.realised + unrealised - each.fees
            assert one.equity == 10_000 + made


def test_the_gap_makes_candle_and_views_unfit_and_a_revision_when_it_is_filled(
    ring: Replay,
) -> None:
    incomplete = [key for key, candle in closes(ring).items() if not candle.complete]
    assert incomplete == [(A, end(GAP))]
    (revised,) = [candle for candle in of(ring, "candles", Candle) if candle.revision]
    assert (revised.instrument, revised.time, revised.trades) == (A, end(GAP), 12)
    signals = [
        one for one in of(ring, "signals", Signal) if one.instrument == A and one.time == end(GAP)
    ]
    assert [one.view for one in signals] == [View.NOT_READY] * 3


def test_a_quiet_instrument_has_empty_candles(ring: Replay) -> None:
    candles = closes(ring)
    for number in market.QUIET:
        before, quiet = candles[B, end(number - 1)], candles[B, end(number)]
        assert (quiet.trades, quiet.complete) == (0, True)
        assert quiet.open == quiet.high == quiet.low == quiet.close == before.close


def test_flatten_closes_and_halts_until_resume(ring: Replay) -> None:
    portfolios = of(ring, "portfolio", Portfolio, "alpha")
    told = {one.time: [each.action for each in one.instructions] for one in portfolios}
    assert {time: actions for time, actions in told.items() if actions} == {
        end(FLATTEN + 1): [Action.FLATTEN],
        end(RESUME + 1): [Action.RESUME],
    }
    (halted,) = of(ring, "risk", Halted)
    (resumed,) = of(ring, "risk", Resumed)
    assert (halted.account, halted.time, halted.flatten) == ("alpha", end(FLATTEN + 1), True)
    assert (resumed.account, resumed.time) == ("alpha", end(RESUME + 1))
    held = {one.time: {each.quantity for each in one.holdings} for one in portfolios}
    assert any(held[end(FLATTEN)])
    assert held[end(RESUME)] == {Decimal(0)}
    assert any(held[end(INTERVALS - 1)])


def test_a_new_configuration_acts_from_the_latest_of_its_joins(ring: Replay) -> None:
    numbers = {one.time: one.epoch for one in of(ring, "portfolio", Portfolio, "beta")}
    assert numbers == {end(number): 1 if number < CHANGE + 3 else 2 for number in range(INTERVALS)}


def test_an_account_that_may_not_short_never_is(ring: Replay) -> None:
    limits = [one.limit for one in of(ring, "risk", Refusal, "beta")]
    assert Limit.NO_SHORT in limits
    for one in of(ring, "portfolio", Portfolio, "beta"):
        assert all(each.quantity >= 0 for each in one.holdings)


def test_every_record_can_be_sent_and_names_one_that_was(ring: Replay, source: Market) -> None:
    known = {message.name for topic in ("trades", *TOPICS) for message in ring.messages(topic)}
    known |= {
        f"trades/{name}/{trade.id}"
        for name in INSTRUMENTS
        for trades in source.trades[name]
        for trade in trades
    }
    for topic in TOPICS:
        for message in ring.messages(topic):
            assert decode(encode(message)) == message
            assert message.origin in known or isinstance(message.record, Command)


@pytest.mark.parametrize("seed", range(20))
def test_order_between_inputs_and_crashes_change_nothing(
    ring: Replay, source: Market, seed: int
) -> None:
    choose = random.Random(seed).randrange
    other = play(Replay(STAGES, 1 + seed % 3, choose, crash_every=30 * (seed % 2)), source)
    assert outcome(other) == outcome(ring)
    assert (other.crashes > 5) == (seed % 2 == 1)


class AsRead(Replay):
    """A pipeline whose stages are given what is read of the bytes, not what was made."""

    def _outputs(self, *taken: Any) -> list[tuple[str, Entry]]:
        return [
            (topic, Entry(entry.key, decode(encode(entry.message))))
            for topic, entry in super()._outputs(*taken)
        ]


def test_what_was_made_and_what_is_read_decide_alike(ring: Replay, source: Market) -> None:
    assert digest(play(AsRead(STAGES), source)) == digest(ring)


def digest(replay: Replay) -> str:
    """Return a hash of every record in the order in which it was written."""
    total = hashlib.sha256()
    for topic in TOPICS:
        for entry in replay.entries(topic):
            total.update(encode(entry.message))
    return total.hexdigest()


def test_another_process_with_another_order_of_sets_writes_the_same(ring: Replay) -> None:
    code = (
        "from tests.replay.test_ring import *;"
        "print(digest(play(Replay(STAGES), Market(seed=7, intervals=INTERVALS))))"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "12345"},
    )
    assert done.stdout.strip() == digest(ring)


@pytest.mark.parametrize("packing", range(1, 6))
def test_how_trades_are_packed_changes_nothing(ring: Replay, packing: int) -> None:
    assert outcome(play(Replay(STAGES), Market(7, INTERVALS, packing))) == outcome(ring)


@pytest.mark.parametrize("cut", [1, 5, FLATTEN + 1, GAP, 25, CHANGE + 1, CHANGE + 3, 39])
def test_what_comes_later_changes_nothing_before(ring: Replay, source: Market, cut: int) -> None:
    """A run over the first intervals is the beginning of the whole run: nothing looks ahead."""
    whole = outcome(ring)
    part = outcome(play(Replay(STAGES), source, cut))
    assert part.items() <= whole.items()
    assert len(of_time(part, end(cut - 2))) == len(of_time(whole, end(cut - 2)))


def of_time(records: dict[str, bytes], time: int) -> list[str]:
    """Return the names of the records of one decision time that are complete by its end."""
    text = f'"time":{time},'.encode()
    return [name for name, raw in records.items() if text in raw and b'"revision":1' not in raw]


@pytest.mark.parametrize("seed", range(1, 6))
def test_other_markets_keep_the_same_laws(seed: int) -> None:
    source = Market(seed, INTERVALS)
    ring = play(Replay(STAGES), source)
    choose = random.Random(seed).randrange
    other = play(Replay(STAGES, 2, choose, crash_every=30), source)
    assert outcome(other) == outcome(ring)
    test_every_decision_time_has_every_record(ring)
    test_cash_and_equity_are_what_fills_and_candles_make_them(ring, "beta")
    test_equity_is_capital_and_what_strategies_made(ring, "alpha")


def minutes(trades: Iterable[Aggregate]) -> dict[int, list[Aggregate]]:
    """Return the trades by the end of their minute."""
    found: dict[int, list[Aggregate]] = {}
    for trade in trades:
        found.setdefault(trade.time // 60_000 * 60_000 + 60_000, []).append(trade)
    return found


def empty(close: Decimal | None) -> dict[str, object]:
    zero = Decimal(0)
    return {
        "open": close, "high": close, "low": close, "close": close,
        "volume": zero, "quote_volume": zero, "taker_buy_volume": zero,
        "trades": 0, "first_id": None, "last_id": None,
    }  # fmt: skip


def recomputed(trades: list[Aggregate]) -> dict[str, object]:
    """Return a candle's fields from its trades, in the simplest way."""
    prices = [trade.price for trade in trades]
    with localcontext(prec=100):
        return {
            "open": prices[0],
            "high": max(prices),
            "low": min(prices),
            "close": prices[-1],
            "volume": sum(trade.quantity for trade in trades),
            "quote_volume": sum(trade.price * trade.quantity for trade in trades),
            "taker_buy_volume": sum(
                (trade.quantity for trade in trades if not trade.buyer_maker), Decimal(0)
            ),
            "trades": len(trades),
            "first_id": trades[0].id,
            "last_id": trades[-1].id,
        }


def real_account() -> Account:
    momentum = StrategySetting("momentum", {"lookback": "15", "entry": "0.003"})
    return replace(
        market.account("real", (XRP,), momentum, StrategySetting("macd", {}), short=False),
        quote="ETH",
        capital=Decimal(10),
    )


@pytest.fixture(scope="module")
def day() -> Replay:
    """A real day, a trade a record."""
    replay = Replay(STAGES)
    trades = list(read_dump(DAY))
    rules = Filters(Decimal("0.00000001"), Decimal(1), Decimal(1), Decimal("0.01"))
    steering: tuple[Record, ...] = (
        Epoch(XRP, real_account(), 1, rules, "XRP", 60_000, 1),
        Join(XRP, "real", 1, START + 60_000, trades[0].id, Series.RAW),
    )
    last = Clock(XRP, START + 86_400_000, trades[-1].id, 0)
    for record in (*steering, *(single(trade) for trade in trades), last):
        replay.feed("trades", XRP, Message(record))
    replay.run()
    return replay


def single(trade: Aggregate) -> Trades:
    return Trades(
        XRP, (trade.id,), (trade.id,), (trade.id,), (trade.time,), (trade.price,),
        (trade.quantity,), (trade.buyer_maker,), 0,
    )  # fmt: skip


def test_the_candles_of_a_real_day_are_its_trades(day: Replay) -> None:
    found = minutes(read_dump(DAY))
    candles = of(day, "candles", Candle)
    assert [candle.time for candle in candles] == [START + each * 60_000 for each in range(1, 1441)]
    close: Decimal | None = None
    for candle in candles:
        trades = found.get(candle.time)
        expected = recomputed(trades) if trades else empty(close)
        assert {name: getattr(candle, name) for name in expected} == expected
        assert (candle.complete, candle.revision) == (True, 0)
        close = candle.close
    assert sum(candle.trades == 0 for candle in candles) > 10
    assert sum(candle.trades for candle in candles) == sum(map(len, found.values()))


def test_a_real_day_trades_and_adds_up(day: Replay) -> None:
    portfolios = of(day, "portfolio", Portfolio)
    assert [one.time for one in portfolios] == [START + each * 60_000 for each in range(1, 1441)]
    fills = of(day, "fills", Fill)
    assert len({fill.order_id for fill in fills}) > 10
    final = portfolios[-1]
    with localcontext(prec=100):
        signed = [one.quantity if one.side is Side.BUY else -one.quantity for one in fills]
        spent = sum(
            quantity * fill.price + fill.fee for quantity, fill in zip(signed, fills, strict=True)
        )
        assert final.cash == 10 - spent
        close = of(day, "candles", Candle)[-1].close
        assert close is not None
        assert final.equity == final.cash + sum(signed) * close
