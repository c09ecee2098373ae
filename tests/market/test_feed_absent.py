"""Instruments that nobody can trade, or that nobody does: they keep no account waiting for ever."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.core.events import Epoch, Gap, Leave, Trades
from app.market.binance.settings import StreamSettings
from app.market.exchange import LocalExchange, SyntheticMarket
from app.market.state import JoinStep
from app.market.tape import BEGINNING
from app.market.vigil import Vigil
from tests.market.binance.feeding import MINUTE, TAPE, XRP, Desk, account, feeding, listing
from tests.market.exchange.playing import DAY, XRPETH, played
from tests.market.player import fed

NOSUCH = "BINANCE:NOSUCH"
SILENT = SyntheticMarket("NEWUSDT", "NEW", "USDT", seed=1, rate=1e-5)
NEW = "BINANCE:NEWUSDT"


async def test_an_account_leaves_an_unknown_symbol_and_the_others_go_on() -> None:
    unknown = listing(account(instrument=NOSUCH), instrument=NOSUCH)
    async with fed(unknown, listing(account())) as (player, feed):
        desk = player.desk
        await desk.until(lambda: desk.reader(NOSUCH).leaves)
        problem = {status.instrument: status.problem for status in feed.status()}
    assert problem[XRP] == ""
    assert problem[NOSUCH].startswith("BINANCE:NOSUCH can't be fed:")
    assert "check its spelling in the instruments" in problem[NOSUCH]
    epoch, leave = desk.published[NOSUCH]
    assert isinstance(epoch, Epoch)
    assert isinstance(leave, Leave)
    assert (epoch.number, epoch.account.name) == (leave.epoch, leave.account) == (1, "a")
    assert "check its spelling" in leave.reason
    assert leave.time % MINUTE == 0


async def test_an_account_in_another_currency_leaves_and_the_others_join() -> None:
    async with fed(listing(account("wrong", quote="USDT"), account("right"))) as (player, feed):
        desk = player.desk
        assert [join.account for join in desk.reader().joins] == ["right"]
        await desk.until(lambda: desk.reader().leaves)
        assert [leave.account for leave in desk.reader().leaves] == ["wrong"]
        assert "counts in USDT but XRPETH is quoted in ETH" in desk.reader().leaves[0].reason
        assert "counts in USDT but XRPETH is quoted in ETH" in feed.status()[0].problem
        await player.caught_up()


@pytest.mark.parametrize("status", ["BREAK", "END_OF_DAY", "SOMETHING_NEW"])
async def test_a_delisted_symbol_leaves(status: str) -> None:
    async with fed(listing(account())) as (player, _):
        desk = player.desk
        player.exchange.faults.set_status("XRPETH", status)
        await desk.until(lambda: desk.reader().leaves)
        (leave,) = desk.reader().leaves
        assert leave.reason == f"delisted: its status was {status}"
        # Its last candle is closed, though its streams may never tell the time again.
        player.exchange.play_to(leave.time + TAPE.grace + int(TAPE.patience * 1000))
        await desk.reached(leave.time)


async def test_neither_a_halt_nor_an_empty_universe_is_a_delisting() -> None:
    async with fed(listing(account())) as (player, feed):
        player.exchange.faults.set_status("XRPETH", "HALT")
        instrument = feed._instruments[XRP]
        await feed._look(instrument)
        player.exchange.faults.empty_exchange_info()
        await feed._look(instrument)
        assert instrument.delisted == ""


async def test_who_is_configured_anew_leaves_a_delisted_symbol_under_the_new_number() -> None:
    async with fed(listing(account())) as (player, feed):
        desk = player.desk
        player.exchange.faults.set_status("XRPETH", "BREAK")
        await desk.until(lambda: desk.reader().leaves)
        await feed.add(listing(account(), numbers=(2,)))
        await desk.until(lambda: len(desk.reader().leaves) == 2)
        # It is traded again: that needs a new number, too.
        player.exchange.faults.set_status("XRPETH", "TRADING")
        await feed.add(listing(account(), numbers=(3,)))
        await desk.until(lambda: len(desk.reader().joins) == 2)
    assert [leave.epoch for leave in desk.reader().leaves] == [1, 2]
    assert [epoch.number for epoch in desk.reader().epochs] == [1, 2, 3]
    assert desk.reader().joins[-1].epoch == 3
    assert [entry.step for entry in desk.state().joins] == [JoinStep.JOINED]


async def test_a_configuration_that_finds_its_symbol_delisted_leaves_it() -> None:
    async with fed(listing(account()), status_pause=10_000.0) as (player, feed):
        desk = player.desk
        player.exchange.faults.set_status("XRPETH", "BREAK")
        await feed.add(listing(account(), numbers=(2,)))
        await desk.until(lambda: desk.reader().leaves)
    (leave,) = desk.reader().leaves
    assert (leave.epoch, leave.account) == (2, "a")
    assert "its status was BREAK" in leave.reason


async def test_silence_is_looked_into_before_the_next_round_of_looks() -> None:
    slow: dict[str, Any] = {"status_pause": 10_000.0, "stream": StreamSettings(stale_after=2.0)}
    async with fed(listing(account()), markets=(XRPETH, SILENT), **slow) as (player, _):
        desk = player.desk
        player.exchange.faults.set_status("XRPETH", "BREAK")
        await desk.until(lambda: desk.reader().leaves)
    assert desk.reader().leaves[0].reason == "delisted: its status was BREAK"


async def test_what_was_never_traded_joins_after_patience_and_begins_with_its_first_trade() -> None:
    first = next(SILENT.entries(DAY - 60 * MINUTE)).aggregate
    assert first.time > DAY + 120 * MINUTE
    desk = Desk()
    mine = account(quote="USDT", instrument=NEW)
    async with played(XRPETH, SILENT) as play, feeding(
        play.exchange, desk, listing(mine, instrument=NEW), listing(account())
    ) as feed:  # fmt: skip
        play.exchange.play_to(DAY + 60 * MINUTE)
        # The time comes with the other's events: it alone would have none.
        await desk.until(lambda: desk.reader(NEW).joins)
        reader = desk.reader(NEW)
        await passes(play.exchange, desk, reader.joins[0].time + 5 * MINUTE)
        assert len(reader.clocks) >= 1
        assert reader.gaps == []
        end = first.time // MINUTE * MINUTE + MINUTE
        play.exchange.play_to(end - MINUTE)
        await passes(play.exchange, desk, end)
        assert feed.status()[0].problem == ""
    assert reader.taken[0] == first.id
    assert [(gap.first_id, gap.last_id, gap.reason) for gap in reader.gaps] == [
        (0, first.id - 1, BEGINNING)
    ]
    assert desk.state(NEW).gaps == ()
    assert reader.core.state.whole(end)
    records = desk.published[NEW]
    (gap,) = (at for at, record in enumerate(records) if isinstance(record, Gap))
    assert isinstance(records[gap + 1], Trades)


async def passes(exchange: LocalExchange, desk: Desk, time: int) -> None:
    """Let exchange time go on until a candle is closed; who connects anew has missed some."""
    done = asyncio.create_task(desk.reached(time, NEW))
    while not done.done():
        exchange.play_to(exchange.clock.now + 5_000)
        await asyncio.wait([done], timeout=0.02)
    await done


@pytest.mark.parametrize("heard", [True, False])
def test_a_vigil_looks_at_all_now_and_then_and_at_the_silent_ones_in_turn(heard: bool) -> None:  # noqa: FBT001
    vigil = Vigil(silence=10.0, pause=100.0)
    names = ["a", "b"]
    assert vigil.due(names, 0.0) == []
    looked: list[tuple[float, str]] = []
    for now in range(10, 130, 10):
        if heard:
            vigil.heard("a", now - 1.0)
            vigil.heard("b", now - 1.0)
        looked += [(now, name) for name in vigil.due(names, float(now))]
    if heard:
        assert looked == [(100, "a"), (100, "b")]
    else:
        # One at a time, and each time after twice as long.
        assert looked[:4] == [(10, "a"), (20, "b"), (30, "a"), (40, "b")]
        assert looked[4:6] == [(70, "a"), (80, "b")]
