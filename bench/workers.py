"""Trades enter one worker, then two that divide the partitions; what either costs leaves.

Two workers that share two processors with the broker and this bench can't show how fast they are.
What they can show is the processor time that each of them needs: with processors of their own,
they are as fast as the busier one lets them be.
"""

from __future__ import annotations

import time

from rich.console import Console

from app.config import Settings
from bench.growth import MINUTE, RATE, SEED
from bench.installation import DECIDING, WARM, Installation
from bench.market import Market, trades_of
from bench.report import Goal, Report

INSTRUMENTS = 50
BARS = 20
ONE, TWO = "1 worker", "2 workers"
ALLOWED = "trades a second of the busier worker's processor"
RATIO = f"{ALLOWED}, 2 workers / 1"
GOALS = (Goal(RATIO, 1.0),)


async def measure(settings: Settings, report: Report, console: Console, rounds: int) -> None:
    """Measure workers of every deciding stage, one and two in turns."""
    for number in range(rounds):
        allowed = {}
        for count, label in ((1, ONE), (2, TWO))[:: 1 if number % 2 == 0 else -1]:
            console.print(f"round {number + 1} of {rounds}: {label}", highlight=False)
            allowed[label] = await _run(settings, report, count, label)
        report.add(RATIO, "ratio", allowed[TWO] / allowed[ONE])
    report.goals += GOALS


async def _run(settings: Settings, report: Report, count: int, label: str) -> float:
    """Return how many trades a second the processor time of the busier worker allows."""
    market = Market(INSTRUMENTS, MINUTE, RATE, WARM + BARS, MINUTE)
    async with Installation(settings, DECIDING, count) as installation:
        await installation.joined()
        rest = await installation.wake(market, market.records(SEED))
        before, begun = installation.processor_seconds_each(), time.perf_counter()
        await installation.append_all(rest)
        await installation.decided(len(market.accounts()), market.last)
        seconds = time.perf_counter() - begun
        after = installation.processor_seconds_each()
    used = [last - first for first, last in zip(before, after, strict=True)]
    trades = trades_of(rest)
    report.add(f"{label}: decided", "trades/s", trades / seconds)
    report.add(f"{label}: processor, in all", "µs/trade", 1e6 * sum(used) / trades)
    report.add(f"{label}: processor, the busier", "µs/trade", 1e6 * max(used) / trades)
    return trades / max(used)
