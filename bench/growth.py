"""Instruments and trades enter in growing numbers; what a trade costs then, and memory, leave."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

from rich.console import Console

from app.config import Settings
from bench import latency
from bench.installation import DECIDING, WARM, Installation
from bench.market import FLUSH_AFTER, Market, Packed, split, trades_of
from bench.report import Goal, Report

MINUTE, SECOND = 60_000, 1_000
COUNTS = (1, 8, 50, 200, 500)
RATE = 600
"""Trades a minute of each instrument: the same share of a trade's cost is its bar's everywhere."""

TRADES = 600_000
SEED = 1
FEWEST_BARS = 6
"""Of fewer, what a worker does before it has records and when it has no more is too much."""

MOST_BARS = 60
"""A decision needs what became of the one before: each takes a round of the log, however few trades
there are. Rates of few instruments say how long that takes; processor time says what they cost."""

PARTS = 6
MANY = 200
MEBIBYTE = 1024 * 1024
FLAT = "trades a processor second, 500 instruments / 1"
CLOSED, RESIDENT = "closing at once: p50", "memory"
MEMORY = f"memory after the last trade / after {1 / PARTS:.0%} of them"
GOALS = (
    Goal(FLAT, 0.9),
    Goal(MEMORY, 1.1, limit=True),
    Goal(f"{RESIDENT}, {MANY} instruments", 300, limit=True),
    Goal(CLOSED, 80, limit=True),
)


async def measure(
    settings: Settings, report: Report, console: Console, trades: int, rounds: int
) -> None:
    """Measure a worker of every deciding stage over more and more; every value is reported."""
    for number in range(rounds):
        for count in COUNTS[:: 1 if number % 2 == 0 else -1]:
            console.print(f"round {number + 1} of {rounds}: {count} instruments", highlight=False)
            await _instruments(settings, report, count)
        ratio = _newest(report, COUNTS[0]) / _newest(report, COUNTS[-1])
        report.add(FLAT, "ratio", ratio)
        console.print(f"round {number + 1} of {rounds}: closing at once", highlight=False)
        await _closing(settings, report)
    console.print(f"{trades:,} trades", highlight=False)
    await _long(settings, report, console, trades)
    report.goals += GOALS


def _newest(report: Report, count: int) -> float:
    return report.values[f"{count} instruments: processor"][-1]


async def _instruments(settings: Settings, report: Report, count: int) -> None:
    market = _market(count, TRADES)
    async with Installation(settings, DECIDING) as installation:
        rest = await installation.wake(market, market.records(SEED))
        before, begun = installation.processor_seconds(), time.perf_counter()
        await installation.append_all(rest)
        await installation.decided(len(market.accounts()), market.last)
        seconds = time.perf_counter() - begun
        used = installation.processor_seconds() - before
        report.add(f"{count} instruments", "trades/s", trades_of(rest) / seconds)
        report.add(f"{count} instruments: processor", "µs/trade", 1e6 * used / trades_of(rest))
        report.add(f"{RESIDENT}, {count} instruments", "MiB", installation.resident() / MEBIBYTE)


async def _closing(settings: Settings, report: Report) -> None:
    market = Market(MANY, 2 * SECOND, 20, 3 + WARM + 4, FLUSH_AFTER)
    found = await latency.measure(settings, market, market.records(SEED))
    report.add_percentiles("closing at once:", found.orders)


async def _long(settings: Settings, report: Report, console: Console, trades: int) -> None:
    bars = min(MOST_BARS, max(PARTS, trades // (MANY * RATE)))
    market = Market(MANY, MINUTE, math.ceil(trades / (MANY * bars)), WARM + bars, MINUTE)
    async with Installation(settings, DECIDING) as installation:
        rest = await installation.wake(market, market.records(SEED))
        sizes = []
        for part, last in parts(market, rest, PARTS):
            await installation.append_all(part)
            await installation.decided(len(market.accounts()), last)
            sizes.append(installation.resident() / MEBIBYTE)
            console.print(f"{sizes[-1]:.0f} MiB", highlight=False)
    report.add(f"{RESIDENT}, {MANY} instruments, {trades:,} trades", "MiB", sizes[-1])
    report.add(MEMORY, "ratio", sizes[-1] / sizes[0])


def _market(count: int, trades: int) -> Market:
    bars = min(MOST_BARS, max(FEWEST_BARS, trades // (count * RATE)))
    return Market(count, MINUTE, RATE, WARM + bars, MINUTE)


def parts(market: Market, rest: Sequence[Packed], count: int) -> Iterator[tuple[list[Packed], int]]:
    """Yield the records in parts of whole bars, each with the decision time it ends with."""
    for part in range(1, count + 1):
        last = market.after(WARM + (market.intervals - WARM) * part // count)
        found, rest = split(rest, last)
        yield found, last
