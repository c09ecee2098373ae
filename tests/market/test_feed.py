"""The feed against the local exchange: what is published, whatever goes wrong."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from app.core.events import Clock, Trades
from app.market.binance.answers import Kline
from app.market.binance.rest import Rest
from app.market.dumps import read_dump
from app.market.exchange import LocalExchange, SyntheticMarket
from app.market.state import JoinStep
from app.market.tape import TapeSettings
from tests.market.binance.feeding import (
    BTC,
    MINUTE,
    TAPE,
    XRP,
    Desk,
    PublishError,
    account,
    feeding,
    listing,
)
from tests.market.exchange.playing import BTCUSDT, DAY, HOUR, PATIENCE, XRPETH, played
from tests.market.player import Player, fed

ROWS = list(read_dump(XRPETH.path))
FIRST = ROWS[0].id


def ids(until: int, since: int = DAY) -> list[int]:
    return [row.id for row in ROWS if since <= row.time <= until]


@pytest.mark.parametrize(
    "tape", [TAPE, dataclasses.replace(TAPE, buffer=20, flush_count=10)], ids=["usual", "tiny"]
)
async def test_a_whole_day_played_fast_is_complete_from_its_first_trade_on(
    tape: TapeSettings,
) -> None:
    day: dict[str, Any] = {
        "speed": 40_000.0, "until": DAY + 24 * HOUR + 2 * MINUTE, "wait_for_subscribers": True,
    }  # fmt: skip
    desk = Desk()
    async with played(**day) as play, feeding(
        play.exchange, desk, listing(account()), start_time=DAY, tape=tape
    ):  # fmt: skip
        await desk.reached(DAY + 24 * HOUR)
    reader = desk.reader()
    assert reader.taken == [row.id for row in ROWS]
    assert reader.times == [row.time for row in ROWS]
    assert reader.gaps == []
    (join,) = reader.joins
    assert (join.time, join.next_id) == (DAY + MINUTE, FIRST)
    trades = [record for record in desk.published[XRP] if isinstance(record, Trades)]
    columns = ("first_id", "last_id", "price", "quantity", "buyer_maker")
    for column in columns:
        values = [value for record in trades for value in getattr(record, column)]
        assert values == [getattr(row, column) for row in ROWS]


FAULTS: dict[str, Callable[[Any], None]] = {
    "cut": lambda faults: faults.cut(),
    "close": lambda faults: faults.close(1008, "Pong timeout"),
    "stall": lambda faults: faults.stall(),
    "garbage": lambda faults: faults.garbage("text"),
    "invalid utf-8": lambda faults: faults.garbage("utf8"),
    "half a frame": lambda faults: faults.garbage("truncated"),
    "shutdown": lambda faults: faults.server_shutdown(0.3),
    "skip": lambda faults: faults.skip("XRPETH", 9),
    "duplicate": lambda faults: faults.duplicate("XRPETH", 9),
    "reorder": lambda faults: faults.reorder("XRPETH", 5),
    "delay": lambda faults: faults.delay("XRPETH", 3, 0.05),
    "429": lambda faults: (faults.rest_fail(429, retry_after=2), faults.cut()),
    "503": lambda faults: (faults.rest_fail(503, 2), faults.cut()),
    "skip while rest is behind": lambda faults: (
        faults.rest_behind(3, "XRPETH"),
        faults.skip("XRPETH", 9),
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_whatever_goes_wrong_each_trade_is_published_once(
    fault: Callable[[Any], None],
) -> None:
    async with fed(listing(account())) as (player, _):
        desk = player.desk
        fault(player.exchange.faults)
        await player.go(30)
        await player.caught_up()
    reader = desk.reader()
    count = len(reader.taken)
    assert reader.taken == [row.id for row in ROWS[:count]]
    assert count >= len(ids(DAY + HOUR + 30 * MINUTE))
    assert reader.gaps == []


async def test_what_closes_a_candle_waits_for_nobody() -> None:
    async with fed(listing(account()), flush_after=24 * HOUR) as (player, _):
        await player.go(30)
        await player.caught_up()  # a clock comes only once the trades before it are out
    trades = [each for each in player.desk.published[XRP] if isinstance(each, Trades)]
    closing = [after.time[-1] // MINUTE - before.time[-1] // MINUTE
               for before, after in pairwise(trades[-20:])]  # fmt: skip
    assert all(closing)  # all others were gathered until one came


async def test_trades_that_nobody_has_become_a_gap_and_the_rest_goes_on() -> None:
    async with fed(listing(account())) as (player, feed):
        desk = player.desk
        lost = len(ids(player.now))
        player.exchange.faults.lose("XRPETH", 3)
        await player.go(30)
        await desk.until(lambda: desk.reader().gaps)
        await player.caught_up()
        (gap,) = desk.reader().gaps
        missing = [row.id for row in ROWS[lost : lost + 3]]
        assert (gap.first_id, gap.last_id) == (missing[0], missing[-1])
        assert (gap.from_time, gap.to_time) == (ROWS[lost - 1].time, ROWS[lost + 3].time)
        assert "not to be had within 8 s" in gap.reason
        assert set(missing).isdisjoint(desk.reader().taken)
        await desk.until(lambda: not desk.state().gaps)
        (status,) = feed.status()
        assert (status.gaps, status.open_gaps) == (1, 0)


async def test_what_comes_after_patience_is_published_late() -> None:
    async with fed(listing(account())) as (player, _):
        desk = player.desk
        # All requests from now on, until the list is emptied: retries can't run out of it.
        player.exchange.faults.rest_behind(10_000)
        player.exchange.faults.skip("XRPETH", 3)
        await player.go(30)
        await desk.until(lambda: desk.reader().gaps)
        (gap,) = desk.reader().gaps
        player.exchange.faults.rest_behind(0)
        await desk.until(lambda: not desk.reader().missing)
        assert desk.reader().late == list(range(gap.first_id, (gap.last_id or 0) + 1))


async def test_void_aggregates_use_up_their_ids() -> None:
    async with fed(listing(account())) as (player, _):
        desk = player.desk
        player.exchange.faults.void("XRPETH", 2)
        await player.go(30)
        await player.caught_up()
        reader = desk.reader()
        assert [(gap.first_id, gap.last_id) for gap in reader.gaps] == [
            (gap.first_id, gap.first_id) for gap in reader.gaps
        ]
        assert len(reader.gaps) == 2
        assert reader.next_id is not None
        assert len(reader.taken) + 2 == reader.next_id - FIRST


async def test_silent_minutes_are_closed_by_clocks() -> None:
    async with fed(listing(account())) as (player, _):
        desk = player.desk
        player.now = (player.now // MINUTE + 2) * MINUTE
        for _ in range(60):
            player.now += MINUTE
            player.exchange.play_to(player.now + TAPE.grace)
            await desk.reached(player.now)
    clocks = [record for record in desk.published[XRP] if isinstance(record, Clock)]
    assert len(clocks) > 10
    for clock in clocks:
        before = [row.id for row in ROWS if row.time < clock.time]
        assert clock.last_id == before[-1]
        assert clock.age >= TAPE.grace


async def test_a_join_as_of_now_begins_with_the_current_candle() -> None:
    desk = Desk()
    async with played() as play:
        player = Player(play.exchange, desk)
        await player.go(7)
        play.exchange.play_to(player.now + 20_000)
        async with feeding(play.exchange, desk, listing(account())):
            await desk.until(lambda: desk.reader().joins)
            player.now += MINUTE
            await player.caught_up()
    (join,) = desk.reader().joins
    assert join.time == DAY + HOUR + 8 * MINUTE
    expected = ids(join.time, since=join.time - MINUTE)
    assert join.next_id == expected[0]
    assert desk.reader().taken[: len(expected)] == expected


async def test_history_ends_where_the_first_candle_begins() -> None:
    desk = Desk()
    start = DAY + 20 * HOUR
    async with played(XRPETH) as play:
        play.exchange.play_to(start + 30_000)
        async with feeding(play.exchange, desk, listing(account()), history_count=1_100):
            await desk.until(lambda: desk.reader().joins)
    (history,) = desk.reader().histories
    assert desk.reader().joins[0].time == start + MINUTE
    assert history.interval == MINUTE
    assert history.time[-1] == start
    assert len(history.time) == 1_100
    assert {after - before for before, after in pairwise(history.time)} == {MINUTE}
    rows = [row for row in ROWS if start - 5 * MINUTE <= row.time < start]
    assert sum(history.volume[-5:]) == sum(row.quantity for row in rows)
    epoch = desk.reader().epochs[0]
    assert (epoch.base, epoch.interval) == ("XRP", MINUTE)
    assert epoch.filters.lot_size == Decimal(1)


async def test_accounts_join_and_leave_while_the_tape_runs() -> None:
    first, second = account("a"), account("b")
    async with fed(listing(first)) as (player, feed):
        desk = player.desk
        reader = desk.reader()
        await feed.add(listing(first, second))
        await desk.until(lambda: len(reader.joins) == 2)
        assert [(join.account, join.epoch) for join in reader.joins] == [("a", 1), ("b", 1)]
        await feed.add(listing(first, second, numbers=(2, 1)))
        await desk.until(lambda: len(reader.joins) == 3)
        assert (reader.joins[2].account, reader.joins[2].epoch) == ("a", 2)
        await player.caught_up()
        await feed.add(listing(second))
        await desk.until(lambda: reader.leaves)
        (leave,) = reader.leaves
        assert (leave.account, leave.epoch) == ("a", 2)
        assert leave.reason == "removed from the configuration"
        await player.caught_up()
        await feed.add(listing())
        await desk.until(lambda: len(reader.leaves) == 2)
        assert [entry.step for entry in desk.state().joins] == [JoinStep.LEFT, JoinStep.LEFT]
        player.exchange.play_to(reader.leaves[1].time + TAPE.grace)
        # Nobody takes part: nothing is published, until somebody does again, as of then.
        await desk.until(lambda: reader.closed >= reader.leaves[1].time)
        before = len(desk.published[XRP])
        await player.go(60)
        assert len(desk.published[XRP]) == before
        await feed.add(listing(second))
        assert "has left it under number 1" in feed.status()[0].problem
        await feed.add(listing(second, numbers=(2,)))
        await desk.until(lambda: len(reader.joins) == 4)
        await player.caught_up()
        assert reader.taken == sorted(set(reader.taken))


async def test_an_outage_closes_candles_as_incomplete_and_late_trades_follow() -> None:
    few: dict[str, Any] = {"connections_per_window": 1, "connection_window_seconds": 2.0}
    async with fed(listing(account()), limits=few) as (player, feed):
        desk = player.desk
        reader = desk.reader()
        player.exchange.faults.cut()
        await player.go(20)
        await desk.until(lambda: reader.gaps)
        assert reader.gaps[0].last_id is None
        await player.go(20)
        await desk.reached((player.now - TAPE.grace) // MINUTE * MINUTE)
        assert len([gap for gap in reader.gaps if gap.last_id is None]) > 1
        assert "could not be reached" in feed.status()[0].problem
        async with asyncio.timeout(PATIENCE):
            while not reader.late:
                await player.caught_up()
        assert feed.status()[0].problem == ""
        await player.caught_up()
    published = sorted(reader.taken + reader.late)
    assert published == [row.id for row in ROWS[: len(published)]]
    assert reader.late
    assert not reader.missing


class SlowRest(Rest):
    """Holds the first answer about past candles until told to go on."""

    asked = asyncio.Event()
    go_on = asyncio.Event()

    async def klines(self, symbol: str, interval: str, start: int, end: int) -> list[Kline]:
        self.asked.set()
        await self.go_on.wait()
        return await super().klines(symbol, interval, start, end)


async def test_a_join_prepared_too_slowly_is_prepared_anew() -> None:
    SlowRest.asked, SlowRest.go_on = asyncio.Event(), asyncio.Event()
    SlowRest.go_on.set()
    slow: dict[str, Any] = {"start_time": None, "history_count": 5, "rest_type": SlowRest}
    async with fed(listing(account("a")), **slow) as (player, feed):
        desk = player.desk
        reader = desk.reader()
        SlowRest.asked.clear()
        SlowRest.go_on.clear()
        await feed.add(listing(account("a"), account("b")))
        await asyncio.wait_for(SlowRest.asked.wait(), PATIENCE)
        # The candles at which it was to join are closed meanwhile: others need not wait for it.
        await player.go(5)
        await player.caught_up()
        SlowRest.go_on.set()
        await desk.until(lambda: len(reader.joins) == 2)
        assert reader.histories[1].time[-1] == reader.joins[1].time - MINUTE


async def test_reading_waits_for_publishing_and_holds_no_more_than_the_buffer() -> None:
    small = dataclasses.replace(TAPE, buffer=20)
    async with fed(listing(account()), tape=small) as (player, feed):
        desk = player.desk
        desk.open.clear()
        await player.go(60)
        tape = feed._instruments[XRP].tape
        assert tape is not None
        async with asyncio.timeout(PATIENCE):
            while not tape.full:
                await player.go(1)
        await player.go(60)
        assert tape.pending == 20
        desk.open.set()
        await player.caught_up()
        assert desk.reader().taken == [row.id for row in ROWS[: len(desk.reader().taken)]]


async def test_an_instrument_of_another_exchange_is_refused() -> None:
    desk = Desk()
    async with played() as play, feeding(play.exchange, desk) as feed:
        with pytest.raises(ValueError, match="name it BINANCE:SYMBOL"):
            await feed.add(listing(instrument="KRAKEN:XRPETH"))


async def test_a_restart_goes_on_from_the_stored_state() -> None:
    desk = Desk()
    async with played() as play:
        player = Player(play.exchange, desk)
        async with feeding(play.exchange, desk, listing(account()), start_time=DAY):
            await player.caught_up()
            older = dict(desk.stored)
            await player.go(10)
            await player.caught_up()
        await player.go(60)
        # The state may be older than what stands on the topic.
        desk.stored = older
        desk.reader().restarted = True
        async with feeding(play.exchange, desk, listing(account()), start_time=DAY):
            await player.caught_up()
    reader = desk.reader()
    assert reader.taken == [row.id for row in ROWS[: len(reader.taken)]]
    assert reader.repeats
    assert len(reader.joins) == 1
    assert reader.gaps == []


async def fed_until_failure(exchange: LocalExchange, desk: Desk) -> None:
    async with feeding(exchange, desk, listing(account())) as feed:
        await asyncio.wait_for(desk.failed.wait(), PATIENCE)
        await feed.close()


async def test_a_join_whose_acknowledgement_was_lost_is_repeated_as_it_was() -> None:
    desk = Desk()
    desk.fail = bool  # whatever has records: here, the join's
    async with played() as play:
        player = Player(play.exchange, desk)
        with pytest.raises(ExceptionGroup) as failure:
            await fed_until_failure(play.exchange, desk)
        assert failure.group_contains(PublishError)
        (entry,) = desk.state().joins
        assert entry.step is JoinStep.DECIDED
        await player.go(30)
        desk.fail = lambda _: False
        desk.reader().restarted = True
        async with feeding(play.exchange, desk, listing(account())):
            await player.caught_up()
    first, again = desk.reader().joins
    assert first == again
    assert desk.reader().taken == ids(player.now, since=again.time - MINUTE)[
        : len(desk.reader().taken)
    ]  # fmt: skip


async def test_two_markets_share_a_clock() -> None:
    quiet = dataclasses.replace(BTCUSDT, rate=0.0001)
    mine, dollars = listing(account()), listing(account("d", "USDT", BTC), instrument=BTC)
    async with fed(mine, dollars, markets=(XRPETH, quiet), start_time=DAY + HOUR) as (player, _):
        await player.desk.reached(DAY + HOUR, BTC)


async def test_a_busy_market_is_sent_in_bulk_and_a_quiet_one_at_once() -> None:
    desk = Desk()
    busy = SyntheticMarket("BTCUSDT", "BTC", "USDT", rate=20.0)
    dollars = account("d", quote="USDT", instrument=BTC)
    async with played(busy, history_ms=MINUTE) as play, feeding(
        play.exchange, desk, listing(dollars, instrument=BTC)
    ) as feed:  # fmt: skip
        await desk.until(lambda: desk.reader(BTC).joins)
        for minute in range(1, 4):
            play.exchange.play_to(DAY + minute * MINUTE)
            await asyncio.sleep(0.001)
        await desk.reached(DAY + 2 * MINUTE, BTC)
        sizes = [len(r.id) for r in desk.published[BTC] if isinstance(r, Trades)]
        assert max(sizes) > 50
        assert max(sizes) <= TAPE.flush_count
        await feed.remove(BTC)
        assert feed.status() == []
