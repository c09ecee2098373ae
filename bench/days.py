"""Days of one-minute bars enter one worker; what a trade costs on the first and the last leaves."""

from __future__ import annotations

import time

from rich.console import Console

from app.config import Settings
from bench.growth import MINUTE, SEED, parts
from bench.installation import DECIDING, WARM, Installation
from bench.market import Market, trades_of
from bench.report import Goal, Report

DAYS = 30
INSTRUMENTS = 8
RATE = 20  # trades a minute of each: decisions are what most of the time goes to
BARS = 24 * 60  # of a day
FLAT = "last day / first day: trades/s"
COST = "last day / first day: processor time of a trade"
GOALS = (Goal(FLAT, 0.9), Goal(COST, 1.1, limit=True))


async def measure(settings: Settings, report: Report, console: Console, days: int) -> None:
    """Measure a worker of every deciding stage day by day; each begins when the last is over."""
    market = Market(INSTRUMENTS, MINUTE, RATE, WARM + days * BARS, MINUTE)
    rates, costs = [], []
    async with Installation(settings, DECIDING) as installation:
        rest = await installation.wake(market, market.records(SEED))
        for part, last in parts(market, rest, days):
            before, begun = installation.processor_seconds(), time.perf_counter()
            await installation.append_all(part)
            await installation.decided(len(market.accounts()), last)
            rates.append(trades_of(part) / (time.perf_counter() - begun))
            costs.append((installation.processor_seconds() - before) / trades_of(part) * 1e6)
            console.print(f"day {len(rates)}: {rates[-1]:,.0f} trades/s, {costs[-1]:.1f} µs/trade",
                          highlight=False)  # fmt: skip
            report.add("each day", "trades/s", rates[-1])
            report.add("each day: processor", "µs/trade", costs[-1])
    report.add(FLAT, "ratio", rates[-1] / rates[0])
    report.add(COST, "ratio", costs[-1] / costs[0])
    report.goals += GOALS
