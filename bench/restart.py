"""A long history in the topics enters; how long a worker takes to decide again leaves.

The history is made by the pipeline itself, bar by bar, so that state topics hold what a run as
long would have left. Then trades go on at the market's pace while the worker is ended and another
is started, and the broker's clock says when the first `orders` stood whose candles were new, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime

import orjson
from rich.console import Console

from app.config import Settings
from bench.installation import DECIDING, SINK, Installation
from bench.market import FLUSH_AFTER, Market, Packed
from bench.report import Report

INSTRUMENTS = 8
SECOND = 1_000
RATE = 20  # trades a second of each instrument: one decision's records for every four of trades
EACH_BAR = 300  # records at least: 160 of trades and what is made of them
AHEAD = 4  # bars in flight while the history is made, so that states are written as in life
PAUSE = 3.0  # seconds at the market's pace before a worker is ended
ORDERING = "risk"
ENDINGS = {"killed": signal.SIGKILL, "stopped": signal.SIGTERM}


@dataclass(frozen=True, slots=True)
class Restarted:
    """Seconds from the start of a process.

    Attributes:
        assigned: Until each stage owned its partitions, by stage.
        ordered: Until the first `orders` of a decision time without candles till then.
        processor: Of processor time until then.
    """

    assigned: dict[str, float]
    ordered: float
    processor: float


async def measure(
    settings: Settings, report: Report, console: Console, *, records: int, rounds: int
) -> None:
    """Make a history of so many records, then end and start a worker so many times each way."""
    spare = round(120 * rounds * len(ENDINGS))
    market = Market(INSTRUMENTS, SECOND, RATE, records // EACH_BAR + spare, FLUSH_AFTER)
    bars = _bars(market.records(seed=1))
    async with Installation(settings, (*DECIDING, SINK)) as installation:
        await installation.append_all(market.steering())
        begun = time.monotonic()
        held = await _fill(installation, market, bars, records)
        await installation.stored()
        console.print(f"{held:,} records in {time.monotonic() - begun:,.0f} s", highlight=False)
        report.add("restart: records in the topics before", "records", held)
        for ending in list(ENDINGS) * rounds:
            found = await _restart(installation, bars, ENDINGS[ending])
            report.add(f"restart of a {ending} worker: first orders", "s", found.ordered)
            for name, seconds in (
                ("until the first stage was assigned", min(found.assigned.values())),
                ("until the last stage was assigned", max(found.assigned.values())),
                ("processor time", found.processor),
            ):
                report.add(f"  {ending}, of these: {name}", "s", seconds)
            console.print(f"{ending}: {found.ordered:.1f} s", highlight=False)


def _bars(records: list[Packed]) -> Iterator[list[Packed]]:
    """Yield what market data would append in each second of exchange time."""
    for _, group in itertools.groupby(records, lambda packed: packed.due // SECOND):
        yield list(group)


async def _fill(
    installation: Installation, market: Market, bars: Iterator[list[Packed]], records: int
) -> int:
    """Let the pipeline decide bar after bar until its topics hold so many records."""
    decisions = installation.decisions(accounts=len(market.accounts()))
    in_flight: deque[int] = deque()
    for number, bar in enumerate(bars, start=1):
        await installation.append_all(bar)
        in_flight.append(market.after(number - 1))  # what the bar's first trades close
        while len(in_flight) > AHEAD:
            due = in_flight.popleft()
            async for decided in decisions:
                if decided >= due:
                    break
        if number % 100 == 0 and (held := await installation.held()) >= records:
            return held
    raise RuntimeError("the market was too short for so many records")


async def _restart(
    installation: Installation, bars: Iterator[list[Packed]], ending: signal.Signals
) -> Restarted:
    async with _at_pace(installation, bars):
        await asyncio.sleep(PAUSE)  # the market's pace is the point, not an event
        await installation.end(ending)
        # What was closed before may be decided by what stood in the topics already.
        decided = max(await installation.times("candles"))
        begun = time.time()
        await installation.restart(log_level="info")  # which tells who was assigned when
        assigned: dict[str, float] = {}
        while ORDERING not in assigned:  # else they were under way when their maker was ended
            ordered, decided = await installation.first_order(after=decided)
            assigned = dict(assigned_in(installation.said().splitlines(), begun))
        return Restarted(assigned, ordered / 1000 - begun, installation.processor_seconds())


@contextlib.asynccontextmanager
async def _at_pace(installation: Installation, bars: Iterator[list[Packed]]) -> AsyncIterator[None]:
    async def go_on() -> None:
        for bar in bars:
            await installation.append_all(bar)
            await asyncio.sleep(SECOND / 1000)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def assigned_in(said: list[str], begun: float) -> Iterator[tuple[str, float]]:
    """Yield each stage that a worker said was assigned, and the seconds from `begun` till then."""
    for line in said:
        if '"event": "assigned"' in line:
            event = orjson.loads(line[line.index("{") :])  # Faust may have hidden a cursor before
            yield event["stage"], datetime.fromisoformat(event["timestamp"]).timestamp() - begun
