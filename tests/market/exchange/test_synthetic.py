"""The made-up market is the same for the same seed, and believable."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from itertools import islice, pairwise, takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.market.exchange import SyntheticMarket
from app.market.exchange.clock import ExchangeClock
from app.market.exchange.log import Entry
from tests.market.exchange.playing import BTCUSDT, DAY, HOUR, played

SCRIPT = """
from hashlib import sha256
from itertools import islice
from app.market.exchange import SyntheticMarket
entries = islice(SyntheticMarket("BTCUSDT", "BTC", "USDT").entries(1570752000000), 3000)
print(sha256(repr(list(entries)).encode()).hexdigest())
"""


def some(market: SyntheticMarket, count: int = 300, start: int = DAY) -> list[Entry]:
    return list(islice(market.entries(start), count))


def test_seed_symbol_and_start_choose_the_market() -> None:
    assert some(BTCUSDT) == some(BTCUSDT)
    others = (replace(BTCUSDT, seed=2), replace(BTCUSDT, symbol="ETHUSDT"))
    assert all(some(other) != some(BTCUSDT) for other in others)
    prices = [entry.aggregate.price for entry in some(BTCUSDT, start=DAY + 1)]
    assert prices != [entry.aggregate.price for entry in some(BTCUSDT)]


def test_another_process_with_another_hash_seed_makes_the_same_market() -> None:
    hashes = {
        subprocess.run(  # noqa: S603 the interpreter that runs this test
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(hashes) == 1


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    price=st.decimals(min_value="0.01", max_value="100000", places=2),
    tick=st.sampled_from(["0.01", "0.00001", "0.5"]),
    step=st.sampled_from(["0.00001", "1", "0.1"]),
)
def test_every_trade_obeys_tick_lot_ids_and_time(
    seed: int, price: Decimal, tick: str, step: str
) -> None:
    market = SyntheticMarket("XUSDT", "X", "USDT", seed, price, Decimal(tick), Decimal(step))
    entries = some(market)
    for entry in entries:
        row = entry.aggregate
        assert row.price > 0
        assert row.price % Decimal(tick) == 0
        assert all(fill > 0 and fill % Decimal(step) == 0 for fill in entry.fills)
        assert sum(entry.fills) == row.quantity
        assert len(entry.fills) == row.last_id - row.first_id + 1
    for before, after in pairwise(entry.aggregate for entry in entries):
        assert (after.id, after.first_id) == (before.id + 1, before.last_id + 1)
        assert after.time >= before.time >= DAY


def test_a_day_has_silence_bursts_sweeps_and_movement() -> None:
    day = [
        entry.aggregate
        for entry in takewhile(
            lambda entry: entry.aggregate.time < DAY + 24 * HOUR, BTCUSDT.entries(DAY)
        )
    ]
    gaps = [after.time - before.time for before, after in pairwise(day)]
    seconds: dict[int, int] = {}
    for row in day:
        seconds[row.time // 1000] = seconds.get(row.time // 1000, 0) + 1
    assert max(gaps) > 60_000
    assert max(seconds.values()) >= 20
    assert any(a.time == b.time and a.price != b.price for a, b in pairwise(day))
    assert any(row.last_id - row.first_id > 3 for row in day)
    assert 0.3 < sum(row.buyer_maker for row in day) / len(day) < 0.7
    low, high = min(row.price for row in day), max(row.price for row in day)
    assert Decimal("1.01") < high / low < Decimal("1.5")


async def test_history_does_not_depend_on_how_the_market_was_played() -> None:
    path = "aggTrades?symbol=BTCUSDT&limit=1000"
    async with played(BTCUSDT) as p:
        p.exchange.play_to(DAY + HOUR)
        at_once = await p.get(path)
    async with played(BTCUSDT) as p:
        for second in range(0, 3601, 7):
            p.exchange.play_to(DAY + second * 1000)
        p.exchange.play_to(DAY + HOUR)
        assert await p.get(path) == at_once


@pytest.mark.parametrize("speed", [1.0, 60.0, 5000.0])
def test_the_clock_is_start_plus_elapsed_times_speed(speed: float) -> None:
    real = [100.0]
    clock = ExchangeClock(DAY, speed, DAY + HOUR, lambda: real[0])
    for _ in range(10):
        real[0] += 0.05
        clock.advance()
    assert clock.now == DAY + round(500 * speed)
    clock.hold()
    real[0] += 5
    assert clock.advance() == DAY + round(500 * speed)
    clock.release()
    real[0] += 0.05
    assert clock.advance() == DAY + round(550 * speed)
    assert not clock.finished
    clock.move_to(DAY + 2 * HOUR)
    assert (clock.now, clock.finished) == (DAY + HOUR, True)


def test_a_stall_slows_a_fast_market_and_not_a_live_one() -> None:
    for speed, expected in ((5000.0, 500_000), (1.0, 7_000)):
        real = [0.0]
        clock = ExchangeClock(DAY, speed, None, lambda real=real: real[0])  # type: ignore[misc]
        real[0] = 7.0
        assert clock.advance() == DAY + expected
