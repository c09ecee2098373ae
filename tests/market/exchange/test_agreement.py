"""Streams, REST and candles tell one story, with the same ids and to the last digit."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.market.dumps import Aggregate, DumpError, read_dump
from app.market.exchange import SyntheticMarket
from app.market.exchange.intervals import NAMES, Interval
from app.market.exchange.klines import KlineSeries
from app.market.exchange.log import Entry, raw_trades
from tests.market.exchange.playing import (
    BTCUSDT,
    DATA,
    DAY,
    HOUR,
    PATIENCE,
    XRPETH,
    Played,
    played,
    receive,
    received_so_far,
)

MINUTE = 60_000


async def every_row(p: Played, path: str, key: str, first: int) -> list[Any]:
    """Page through a REST path by `fromId`."""
    rows: list[Any] = []
    while page := await p.get(f"{path}&limit=1000&fromId={rows[-1][key] + 1 if rows else first}"):
        rows += page
    return rows


async def test_stream_rest_and_dump_hold_the_same_trades() -> None:
    dump = list(read_dump(XRPETH.path))
    async with played() as p, p.socket("ws/xrpeth@aggTrade", max_queue=None) as socket:
        p.exchange.play_to(DAY + 24 * HOUR)
        streamed = [event for event in await received_so_far(socket) if event["e"] == "aggTrade"]
        rest = await every_row(p, "aggTrades?symbol=XRPETH", "a", 0)
        raw = await every_row(p, "historicalTrades?symbol=XRPETH", "id", 0)
    shared = ("a", "p", "q", "f", "l", "T", "m", "M")
    assert [{key: event[key] for key in shared} for event in streamed] == rest
    assert [(row["a"], row["T"], Decimal(row["p"]), Decimal(row["q"])) for row in rest] == [
        (row.id, row.time, row.price, row.quantity) for row in dump
    ]
    assert [(row["id"], row["time"], row["qty"]) for row in raw] == [
        (row["f"], row["T"], row["q"]) for row in rest
    ]


async def test_aggregates_and_raw_trades_of_a_synthetic_market_agree() -> None:
    streams = "ws/btcusdt@aggTrade/btcusdt@trade"
    async with played(BTCUSDT) as p, p.socket(streams, max_queue=None) as socket:
        p.exchange.play_to(DAY + 10 * MINUTE)
        events = await received_so_far(socket)
        rest = await p.get("trades?symbol=BTCUSDT&limit=1000")
    aggregates = [event for event in events if event["e"] == "aggTrade"]
    trades = {event["t"]: event for event in events if event["e"] == "trade"}
    assert list(trades) == list(range(aggregates[0]["f"], aggregates[-1]["l"] + 1))
    for before, after in pairwise(aggregates):
        assert (after["a"], after["f"]) == (before["a"] + 1, before["l"] + 1)
    for aggregate in aggregates:
        parts = [trades[n] for n in range(aggregate["f"], aggregate["l"] + 1)]
        assert sum(Decimal(part["q"]) for part in parts) == Decimal(aggregate["q"])
        assert {(part["p"], part["T"], part["m"]) for part in parts} == {
            (aggregate["p"], aggregate["T"], aggregate["m"])
        }
    for row in rest:
        if row["id"] in trades:
            assert (row["qty"], row["time"]) == (trades[row["id"]]["q"], trades[row["id"]]["T"])
    assert len(rest) == 1000
    assert rest[-1]["id"] == aggregates[-1]["l"]


def recomputed(rows: list[Aggregate], width: int, end: int) -> list[list[Any]]:
    """Compute candles another way: group, then whole multiples of 1e-8 by fractions."""
    groups: dict[int, list[Aggregate]] = {}
    for row in rows:
        groups.setdefault(row.time // width * width, []).append(row)
    opens = range(min(groups), end, width)
    candles, close = [], Fraction(0)
    for begin in opens:
        group = groups.get(begin, [])
        prices = [Fraction(row.price) for row in group] or [close]
        close = prices[-1]
        takers = [row for row in group if not row.buyer_maker]
        candles.append([
            begin, digits(prices[0]), digits(max(prices)), digits(min(prices)), digits(close),
            digits(sum(Fraction(row.quantity) for row in group)), begin + width - 1,
            digits(sum(Fraction(row.quantity) * Fraction(row.price) for row in group)),
            sum(row.last_id - row.first_id + 1 for row in group),
            digits(sum(Fraction(row.quantity) for row in takers)),
            digits(sum(Fraction(row.quantity) * Fraction(row.price) for row in takers)), "0",
        ])  # fmt: skip
    return candles


def digits(value: Fraction | int) -> str:
    whole, rest = divmod(value * 10**8, 10**8)
    assert rest == int(rest)
    return f"{whole}.{int(rest):08d}"


@pytest.mark.parametrize(("name", "width"), [("1m", MINUTE), ("15m", 15 * MINUTE), ("1h", HOUR)])
async def test_candles_of_a_real_day_equal_another_computation(name: str, width: int) -> None:
    expected = recomputed(list(read_dump(XRPETH.path)), width, DAY + 24 * HOUR)
    async with played() as p:
        p.exchange.play_to(DAY + 24 * HOUR)
        rows: list[Any] = []
        while len(rows) < len(expected):
            since = rows[-1][0] + 1 if rows else 0
            end = DAY + 24 * HOUR - 1
            path = f"klines?symbol=XRPETH&interval={name}&limit=1000"
            rows += await p.get(f"{path}&startTime={since}&endTime={end}")
        assert rows == expected
        assert any(row[8] == 0 for row in rows) or name != "1m"


async def test_closing_kline_events_equal_rest_candles() -> None:
    async with played() as p, p.socket("ws/xrpeth@kline_1m", max_queue=None) as socket:
        for minute in range(1, 181):
            p.exchange.play_to(DAY + minute * MINUTE + 7)
        events = [event["k"] for event in await received_so_far(socket)]
        closed = [bar for bar in events if bar["x"]]
        rows = await p.get(f"klines?symbol=XRPETH&interval=1m&startTime={DAY}&limit=180")
    keys = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B")
    assert [[bar[key] for key in keys] for bar in closed] == rows
    assert all(bar["n"] == bar["L"] - bar["f"] + 1 or bar["f"] == bar["L"] == -1 for bar in closed)


async def test_in_a_silent_market_the_second_goes_on() -> None:
    async with played() as p, p.socket("ws/xrpeth@kline_1s") as socket:
        p.exchange.play_to(DAY + 18_000)  # three trades, then silence
        await received_so_far(socket)
        for second in range(19, 29):
            p.exchange.play_to(DAY + second * 1000)
        events = await received_so_far(socket)
        assert [event["E"] for event in events] == [DAY + s * 1000 for s in range(19, 29)]
        for event in events:
            bar = event["k"]
            assert (bar["n"], bar["f"], bar["L"], bar["x"]) == (0, -1, -1, True)
            assert bar["o"] == bar["h"] == bar["l"] == bar["c"] == "0.00141266"
            assert bar["T"] == event["E"] - 1


async def test_no_trade_follows_an_event_that_claims_a_later_time() -> None:
    streams = "/".join(
        f"{symbol}@{kind}"
        for symbol in ("xrpeth", "btcusdt", "ethusdt")
        for kind in ("aggTrade", "kline_1s", "trade", "kline_1m")
    )
    ether = SyntheticMarket("ETHUSDT", "ETH", "USDT", seed=3)
    options = {"speed": 5000, "wait_for_subscribers": True, "until": DAY + 2 * HOUR}
    async with (
        played(XRPETH, BTCUSDT, ether, **options) as p,
        p.socket(f"stream?streams={streams}", max_queue=None) as socket,
    ):
        await p.exchange.finished()
        events = [event["data"] for event in await received_so_far(socket)]
    times = [event["E"] for event in events]
    assert times == sorted(times)
    assert times[-1] == DAY + 2 * HOUR
    assert all(event["T"] <= event["E"] for event in events if event["e"] != "kline")
    assert {event["e"] for event in events} == {"aggTrade", "trade", "kline"}
    closing = [e["k"]["t"] for e in events if e["e"] == "kline" and e["k"]["i"] == "1m"
               and e["k"]["x"] and e["s"] == "BTCUSDT"]  # fmt: skip
    assert closing == list(range(DAY, DAY + 2 * HOUR, MINUTE))


async def test_what_a_dump_holds_before_the_start_is_history() -> None:
    noon = DAY + 12 * HOUR
    async with played(start=noon) as p, p.socket("ws/xrpeth@aggTrade") as socket:
        assert (await p.get("time"))["serverTime"] == noon
        bars = await p.get("klines?symbol=XRPETH&interval=1h")
        assert [bar[0] for bar in bars] == [DAY + hour * HOUR for hour in range(13)]
        (newest,) = await p.get("aggTrades?symbol=XRPETH&limit=1")
        p.exchange.play_to(noon + HOUR)
        events = await received_so_far(socket)
        assert events[0]["a"] == newest["a"] + 1
        assert events[0]["T"] >= noon > newest["T"]


async def test_the_clock_waits_for_a_subscriber_of_every_market() -> None:
    options = {"speed": 1000, "wait_for_subscribers": True, "until": DAY + HOUR}
    async with (
        played(XRPETH, BTCUSDT, **options) as p,
        p.socket("ws/xrpeth@aggTrade", max_queue=None) as socket,
    ):
        assert (await p.get("time"))["serverTime"] == DAY
        await socket.send('{"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":1}')
        await p.exchange.reached(DAY + MINUTE)
        events = [await receive(socket) for _ in range(50)]
        assert [event["T"] for event in events[1:]] == sorted(e["T"] for e in events[1:])


@settings(max_examples=100)
@given(
    name=st.sampled_from(sorted(NAMES)),
    time=st.integers(1_262_304_000_000, 4_000_000_000_000),
    offset=st.sampled_from([0, 8 * HOUR, -5 * HOUR]),
)
def test_intervals_tile_time(name: str, time: int, offset: int) -> None:
    interval = Interval(name, offset)
    begin = interval.open_of(time)
    end = interval.next_open(begin)
    assert begin <= time < end
    assert interval.open_of(begin) == interval.open_of(end - 1) == begin
    assert interval.open_of(end) == end


@settings(max_examples=60)
@given(
    gaps=st.lists(st.integers(0, 200_000), min_size=1, max_size=40),
    limit=st.integers(1, 12),
    since=st.integers(-400_000, 400_000),
)
def test_oldest_and_newest_are_windows_of_the_same_candles(
    gaps: list[int], limit: int, since: int
) -> None:
    series, time = KlineSeries(Interval("1m"), 1000), DAY
    for n, gap in enumerate(gaps):
        time += gap
        series.add(Aggregate(n, n, n, time, Decimal(n + 1), Decimal(1), buyer_maker=True))
    every = series.oldest(0, time, 10**6)
    assert [bar.open_time for bar in every] == list(
        range((DAY + gaps[0]) // MINUTE * MINUTE, time // MINUTE * MINUTE + 1, MINUTE)
    )
    assert series.newest(time, limit) == every[-limit:]
    wanted = [bar for bar in every if bar.open_time >= DAY + since]
    assert series.oldest(DAY + since, time, limit) == wanted[:limit]


@settings(max_examples=60)
@given(
    quantity=st.decimals(min_value="0.00000001", max_value="9999999", places=8),
    count=st.integers(1, 40),
)
def test_an_aggregate_without_known_fills_is_divided_exactly(quantity: Decimal, count: int) -> None:
    row = Aggregate(1, 7, 6 + count, DAY, Decimal(1), quantity, buyer_maker=False)
    parts = list(raw_trades(Entry(row)))
    assert [part.id for part in parts] == list(range(7, 7 + count))
    assert sum(part.quantity for part in parts) == quantity


async def test_a_dump_of_aggregates_is_played_with_its_void_rows(tmp_path: Path) -> None:
    lines = [
        f"10,1.50000000,2.00000000,100,102,{DAY + 1},True,True",
        f"11,0.00000000,0.00000000,-1,-1,{DAY + 1},True,True",
        f"12,1.60000000,1.00000000,103,103,{DAY + 5},False,True",
    ]
    (tmp_path / "dump.csv").write_text("\n".join(lines) + "\n")
    market = replace(XRPETH, path=tmp_path / "dump.csv")
    async with played(market) as p, p.socket("ws/xrpeth@aggTrade/xrpeth@trade") as socket:
        p.exchange.play_to(DAY + 100)
        events = await received_so_far(socket)
        rows = await p.get("aggTrades?symbol=XRPETH")
        (bar,) = await p.get("klines?symbol=XRPETH&interval=1m")
    assert [event["a"] for event in events if event["e"] == "aggTrade"] == [10, 12]
    assert [event["t"] for event in events if event["e"] == "trade"] == [100, 101, 102, 103]
    assert [(row["a"], row["f"], row["p"]) for row in rows] == [
        (10, 100, "1.50000000"), (11, -1, "0.00000000"), (12, 103, "1.60000000"),
    ]  # fmt: skip
    assert (bar[5], bar[8]) == ("3.00000000", 4)


async def test_a_dump_damaged_in_its_middle_is_reported_when_played_to_there(
    tmp_path: Path,
) -> None:
    lines = XRPETH.path.read_text().splitlines()[:1500]  # beyond what is read first
    (tmp_path / "dump.csv").write_text("\n".join([*lines, "nonsense"]) + "\n")
    market = replace(XRPETH, path=tmp_path / "dump.csv")
    async with played(market, speed=100_000) as p:
        with pytest.raises(DumpError, match="line 1501"):
            await asyncio.wait_for(p.exchange.finished(), PATIENCE)
        assert len(await p.get("aggTrades?symbol=XRPETH")) > 0
        with pytest.raises(DumpError, match="line 1501"):
            p.exchange.play_to(DAY + 24 * HOUR)


def test_the_test_data_is_the_day_the_tests_speak_of() -> None:
    assert json.dumps([row.time for row in read_dump(DATA / XRPETH.path.name)][:1]) == (
        f"[{DAY + 11_620}]"
    )
