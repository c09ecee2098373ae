"""REST against the local exchange: what it answers, and what it does when told to stop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from app.market.binance.rest import Rest, RestError, UnknownSymbolError
from app.market.exchange import LocalExchange
from tests.market.binance.fast_time import SleptTime
from tests.market.exchange.playing import DAY, HOUR, played

FIRST = 13519807


@asynccontextmanager
async def asked() -> AsyncIterator[tuple[LocalExchange, Rest, SleptTime]]:
    time = SleptTime()
    async with played() as play:
        play.exchange.play_to(DAY + HOUR)
        async with Rest(play.exchange.rest_url, time=time, chance=lambda: 1.0) as rest:
            yield play.exchange, rest, time


async def test_it_answers() -> None:
    async with asked() as (_, rest, time):
        assert await rest.server_time() == DAY + HOUR
        info = await rest.symbol("XRPETH")
        assert (info.base, info.quote, info.status) == ("XRP", "ETH", "TRADING")
        assert info.filters.tick_size == Decimal("0.00000001")
        rows = await rest.aggregates("XRPETH", from_id=FIRST + 3, limit=2)
        assert [row.id for row in rows] == [FIRST + 3, FIRST + 4]
        (row,) = await rest.aggregates("XRPETH", start_time=DAY + 12_000, limit=1)
        assert (row.id, row.time) == (FIRST + 2, DAY + 17_964)
        (newest,) = await rest.aggregates("XRPETH", limit=1)
        assert await rest.aggregates("XRPETH", from_id=newest.id + 1) == []
        candles = await rest.klines("XRPETH", "1m", DAY, DAY + HOUR - 1)
        assert len(candles) == 60
        assert time.slept == []


async def test_weight_is_counted_as_the_exchange_counts() -> None:
    async with asked() as (_, rest, _time):
        await rest.symbol("XRPETH")
        await rest.server_time()
        assert rest.budget.used == 21
        assert rest.budget.limit == 5400


@pytest.mark.parametrize(("status", "seconds"), [(429, 7), (418, 300)])
async def test_a_stop_is_obeyed_without_probing(status: int, seconds: int) -> None:
    async with asked() as (exchange, rest, time):
        exchange.faults.rest_fail(status, retry_after=seconds)
        assert await rest.server_time() == DAY + HOUR
        assert time.slept == [seconds]


async def test_a_failure_that_may_pass_is_tried_again_with_growing_pauses() -> None:
    async with asked() as (exchange, rest, time):
        exchange.faults.rest_fail(503, 3)
        assert await rest.server_time() == DAY + HOUR
        assert time.slept == [0.5, 1.0, 2.0]


async def test_a_failure_that_lasts_is_told() -> None:
    async with asked() as (exchange, rest, _):
        exchange.faults.rest_fail(500, 4, html=True)
        with pytest.raises(RestError, match=r"failed 4 times, last because the answer was 500"):
            await rest.server_time()


@pytest.mark.parametrize(("status", "html"), [(451, False), (403, True)])
async def test_a_refused_place_is_told_what_to_do(status: int, html: bool) -> None:  # noqa: FBT001
    async with asked() as (exchange, rest, time):
        exchange.faults.rest_fail(status, html=html)
        with pytest.raises(RestError, match=rf"refused to serve this machine \({status}\).*use"):
            await rest.server_time()
        assert time.slept == []


async def test_an_unknown_symbol_is_told_apart() -> None:
    async with asked() as (_, rest, _time):
        with pytest.raises(UnknownSymbolError, match="has no symbol NOSUCH; check its spelling"):
            await rest.symbol("NOSUCH")


async def test_an_empty_universe_is_a_failure_and_no_answer() -> None:
    async with asked() as (exchange, rest, _):
        exchange.faults.empty_exchange_info()
        with pytest.raises(RestError):
            await rest.symbol("XRPETH")


async def test_an_exchange_that_is_not_there_is_told() -> None:
    async with asked() as (exchange, _, _time):
        address = exchange.rest_url
    async with Rest(address, time=SleptTime()) as rest:
        with pytest.raises(RestError, match="check the network"):
            await rest.server_time()
