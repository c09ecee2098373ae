"""Cursors, pages, bars and prices: what is written is read again, and nothing foreign is taken."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.events import Gap, Message
from app.dashboard.errors import AnswerError
from app.dashboard.history import bars, paging
from app.dashboard.live.cursor import Cursors
from app.dashboard.live.placed import LONGEST_PAYLOAD, placed
from app.dashboard.live.prices import MOST_GAPS, Prices
from app.dashboard.live.pulse import Pulse
from app.runtime.codec import encode
from app.runtime.ports import Place
from app.storage.values import instant
from tests.records import TIMES
from tests.replay.market import INSTRUMENTS, Market, batch
from tests.replay.market import INTERVAL as BASE

PLACES = [Place("fills", 0), Place("fills", 1), Place("dead-letters", 0)]
OFFSETS = st.integers(0, 10**17)
MINUTE, DAY = 60_000, 86_400_000
CURSORS = Cursors("here/", frozenset(PLACES))


@given(st.dictionaries(st.sampled_from(PLACES), OFFSETS))
def test_a_cursor_is_read_as_it_was_written(cursor: dict[Place, int]) -> None:
    assert CURSORS.read(CURSORS.write(cursor)) == cursor
    assert Cursors("elsewhere/", frozenset(PLACES)).read(CURSORS.write(cursor)) is None


def test_a_cursor_of_the_tables_loses_what_viewers_do_not_follow() -> None:
    text = CURSORS.write({Place("trades", 0): 9, PLACES[0]: 4})
    assert CURSORS.read(text) == {PLACES[0]: 4}


@given(st.text(max_size=40) | st.text("0123456789abcdef,:-fils", max_size=60))
def test_a_text_that_is_no_cursor_is_none(text: str) -> None:
    marked = f"{CURSORS.write({})},{text}"
    assert CURSORS.read(text) is None or text == CURSORS.write({})
    assert CURSORS.read(marked) is None or all(":" in part for part in text.split(","))


KEY: dict[str, paging.Kind] = {"time": datetime, "name": str, "part": int}
NAMES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)


@given(TIMES, NAMES, st.integers(-(2**63) + 1, 2**63 - 1))
def test_a_page_is_asked_for_by_the_row_before(time: int, name: str, part: int) -> None:
    row = {"time": instant(time), "name": name, "part": part, "more": "x"}
    assert paging.read(paging.write(row, KEY), KEY) == [instant(time), name, part]


@given(st.text(max_size=60))
def test_a_text_that_asks_for_no_page_is_refused(text: str) -> None:
    with pytest.raises(AnswerError, match="must be the `next`"):
        paging.read(text, KEY)


@given(st.integers(1, 5 * 365 * DAY), st.sampled_from((1_000, 10_000, MINUTE, 5 * MINUTE, DAY)),
       st.integers(2, 2_000))  # fmt: skip
def test_bars_fit_the_screen_and_no_shorter_ones_would(span: int, base: int, points: int) -> None:
    length = bars.fitting(span, base, points)
    assert bars.allowed(length, base)
    longest = 7 * DAY if not 7 * DAY % base else base
    assert span <= length * points or length == longest
    shorter = [each for each in (base, *bars.LADDER) if base <= each < length and not each % base]
    assert all(span > each * points for each in shorter)


@given(st.sampled_from((1_000, 10_000, MINUTE, 5 * MINUTE)), st.sampled_from(bars.LADDER))
def test_bars_are_made_of_the_longest_that_divide_them(base: int, length: int) -> None:
    if not bars.allowed(length, base):
        return
    table, part = bars.source(length, base)
    assert not length % part
    assert part >= base
    assert (table == bars.BASE) == (part == base)
    longer = [width for width, _ in bars.ROLLUPS if width > part and not width % base]
    assert all(length % width for width in longer)


@given(TIMES, st.sampled_from(bars.LADDER))
def test_a_bar_covers_its_time_and_weeks_begin_on_mondays(time: int, length: int) -> None:
    start = bars.start_of(time, length)
    assert start <= time < start + length
    if length == 7 * DAY:
        assert instant(start).weekday() == 0


def priced(seed: int, packing: int) -> dict[str, Any]:
    """Return the prices of a market whose records were packed in some way, repeats and all."""
    source, prices = Market(seed, 4, packing), Prices(BASE)
    offset = 0
    for number in range(source.intervals):
        for name in INSTRUMENTS:
            for record in source.packed[name][number]:
                raw = encode(Message(record))
                prices.take(placed(Place("trades", 0), offset, 1_000, raw))
                offset += 1
    return {name: price.document() for name, price in prices.of.items()}


@settings(max_examples=10)
@given(st.integers(0, 99), st.integers(0, 99))
def test_the_forming_bar_is_that_of_its_trades_however_they_come(seed: int, packing: int) -> None:
    found = priced(seed, packing)
    source = Market(seed, 4)
    for name in INSTRUMENTS:
        trades = source.trades[name][3]
        bar = found[name]["forming"]
        values = [trade.price for trade in trades]
        assert Decimal(bar["open"]) == values[0]
        assert Decimal(bar["close"]) == Decimal(found[name]["price"]) == values[-1]
        assert (Decimal(bar["high"]), Decimal(bar["low"])) == (max(values), min(values))
        assert Decimal(bar["volume"]) == sum(trade.quantity for trade in trades)
        assert bar["trades"] == len(trades)
        assert bar["end"] == bar["time"] + BASE


def test_prices_are_told_once_and_gaps_are_kept_within_bounds() -> None:
    prices = Prices(BASE)
    name = INSTRUMENTS[0]
    trades = Market(1, 1).trades[name][0]
    prices.take(placed(Place("trades", 0), 0, 5, encode(Message(batch(name, trades)))))
    version = prices.version
    assert len(prices.since(0)) == 1
    assert prices.since(0, {"another"}) == []
    assert prices.since(version) == []
    for number in range(MOST_GAPS + 3):
        gap = Gap(name, 100 + number, None, trades[0].time, trades[0].time, "lost")
        prices.take(placed(Place("trades", 0), 1 + number, 5, encode(Message(gap))))
    gaps = prices.of[name].document()["gaps"]
    assert len(gaps) == MOST_GAPS
    assert gaps[-1]["first_id"] == 100 + MOST_GAPS + 2


def test_a_foreign_line_end_does_not_end_an_event() -> None:
    raw = b'{"type":"command",\n"account":"a","command_id":"x",\r\n"action":"halt","by":"b",'
    message = placed(Place("signals", 0), 3, 7, raw + b'"reason":"one\\ntwo"}')
    assert b"\n" not in message.encoded
    assert b"\r" not in message.encoded
    assert b"one\\ntwo" in message.encoded
    assert LONGEST_PAYLOAD < 500_000


async def test_a_pulse_wakes_all_who_wait_and_lets_come_together_what_comes_quickly() -> None:
    pulse = Pulse(pause=0.01)
    running = asyncio.create_task(pulse.run())
    waiting = [asyncio.create_task(pulse.wait(0, 60)) for _ in range(3)]
    await asyncio.sleep(0)
    for _ in range(100):
        pulse.stir()
    await asyncio.gather(*waiting)
    assert pulse.count == 1
    pulse.stir()
    await pulse.wait(1, 60)
    assert pulse.count == 2
    await pulse.wait(1, 60)  # a waking that was missed is no reason to wait
    pulse.close()
    await pulse.wait(2, 60)
    await running


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="needs Linux's idle policy")
@pytest.mark.parametrize(("spare", "told"), [(True, "5 0"), (False, "0 15")])
def test_a_dashboard_stands_behind_a_worker(spare: bool, told: str) -> None:  # noqa: FBT001
    """In a process of its own: what was given up can't be taken back."""
    words = (
        f"import os; from app.dashboard.serving import stand_back; stand_back(spare={spare}); "
        "print(os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0))"
    )
    ran = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)  # noqa: S603
    assert ran.stdout.split() == told.split()
