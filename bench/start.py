"""Settings enter; how long the worker's help takes, and a worker until it can work, leave."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

from app.config import Settings
from app.errors import LockstepError
from bench.installation import DECIDING, SINK, Installation
from bench.report import Goal, Report
from bench.restart import assigned_in

HELP, READY = "worker's help", "worker ready, nothing in the topics"
GOALS = (Goal(HELP, 1, limit=True), Goal(READY, 5, limit=True))
PATIENCE = 60.0  # seconds


async def measure(settings: Settings, report: Report, turns: int) -> None:
    """Ask for help and start a worker so many times; every value is reported.

    Args:
        settings: Where broker and database are.
        report: Takes the values.
        turns: How many times.
    """
    for _ in range(turns):
        wall, processor = await _help()
        report.add(HELP, "s", wall)
        report.add(f"  {HELP}: processor", "s", processor)
    async with Installation(settings, (*DECIDING, SINK)) as installation:
        for _ in range(turns):
            await installation.end(signal.SIGTERM)
            report.add(READY, "s", await _ready(installation))


async def _help() -> tuple[float, float]:
    """Return how long it took, and how much of a processor; seconds."""
    before, begun = os.times(), time.perf_counter()
    asked = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "faust", "-A", "app", "worker", "--help"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    if await asked.wait():
        raise LockstepError("`faust -A app worker --help` failed.")
    took, after = time.perf_counter() - begun, os.times()
    used = after.children_user - before.children_user
    return took, used + after.children_system - before.children_system


async def _ready(installation: Installation) -> float:
    """Return the seconds from a worker's start until every stage owned its partitions."""
    begun = time.time()
    await installation.restart(log_level="info")  # which tells who was assigned when
    async with asyncio.timeout(PATIENCE):
        while True:
            found = dict(assigned_in(installation.said().splitlines(), begun))
            if found.keys() >= {*DECIDING, SINK}:
                return max(found.values())
            await asyncio.sleep(0.05)  # a file can't say when it has grown
