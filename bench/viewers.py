"""Viewers of a dashboard enter; what the live path does with and without them leaves.

Run as a program it is the viewers themselves: streams that are taken as fast as they come, one of
which notes how old each record is when it arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import orjson
from rich.console import Console

from app.config import Settings
from app.errors import LockstepError
from bench import latency, throughput
from bench.dashboard import ANSWERS_WITHIN, HOST, Dashboard, dashboard
from bench.installation import Installation
from bench.market import FLUSH_AFTER, Market
from bench.report import Report, percentile, ratios

STARTED = "viewers are there"
MINUTE, SECOND = 60_000, 1_000
INSTRUMENTS, PACED, BUSY, FULL_RECORDS = 8, 250, 3_000, 10_000  # as the live path and its latency
BARS, MINUTES = 30, 10


@dataclass(slots=True)
class Audience:
    """Viewers beside an installation.

    Attributes:
        count: How many; 0: not even a dashboard.
        ages: Milliseconds from a record's append to its arrival at one of them.
        busy: Processor seconds that the dashboard used.
    """

    count: int
    ages: list[float] = field(default_factory=list)
    busy: float = 0.0

    @contextlib.asynccontextmanager
    async def beside(self, installation: Installation) -> AsyncIterator[None]:
        """Let them look while the block runs."""
        if not self.count:
            yield
            return
        schema = installation.database.settings.schema
        async with dashboard(installation.kafka, schema) as shown:
            async with _looking(shown, self):
                yield
            self.busy = shown.processor_seconds()


@contextlib.asynccontextmanager
async def _looking(shown: Dashboard, audience: Audience) -> AsyncIterator[None]:
    viewers = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.viewers", str(shown.port), str(audience.count)),
        env=os.environ | {"SECRET": shown.secret}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    if viewers.stdout is None:
        raise RuntimeError("viewers were started without a pipe")
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            while STARTED not in (await viewers.stdout.readline()).decode():
                if viewers.returncode is not None:
                    raise LockstepError("the viewers ended: the dashboard did not let them in.")
        yield
    finally:
        viewers.send_signal(signal.SIGTERM)
        told = (await viewers.communicate())[0]
    audience.ages = orjson.loads(told)


async def measure(
    settings: Settings, report: Report, console: Console, *, viewers: int, rounds: int
) -> None:
    """Measure the live path and its latency without and with viewers, in turns."""
    for number in range(rounds):
        found: dict[str, dict[str, float]] = {}
        for count in (0, viewers)[:: 1 if number % 2 else -1]:
            label = f"{count} viewers"
            console.print(f"round {number + 1} of {rounds}: {label}", highlight=False)
            found[label] = await _round(settings, report, label, count, number + 1)
        for name in found[f"{viewers} viewers"]:
            (ratio,) = ratios(
                {label: values[name] for label, values in found.items()}, to="0 viewers"
            ).values()
            report.add(f"{name}: {viewers} viewers / none", "ratio", ratio)


async def _round(
    settings: Settings, report: Report, label: str, count: int, seed: int
) -> dict[str, float]:
    market = Market(INSTRUMENTS, SECOND, PACED, BARS, FLUSH_AFTER)
    paced = Audience(count)
    seen = await latency.measure(settings, market, market.records(seed), paced.beside)
    market = Market(INSTRUMENTS, MINUTE, BUSY, MINUTES, FULL_RECORDS)
    rushed = Audience(count)
    rate = await throughput.measure(
        settings, market, market.records(seed), sink=True, beside=rushed.beside
    )
    found = {
        "bar close to order, p50": percentile(seen.orders, 0.5),
        "bar close to order, p99": percentile(seen.orders, 0.99),
        "decided": rate["decided"],
        "processor": rate["cost"],
    }
    units = ("ms", "ms", "trades/s", "µs/trade")
    for (name, value), unit in zip(found.items(), units, strict=True):
        report.add(f"{name}, {label}", unit, value)
    report.add(f"  trades appended late by at most, {label}", "ms", seen.behind)
    if paced.ages:
        report.add_percentiles("  append to viewer,", paced.ages)
        report.add("  dashboard's processor, latency part", "s", paced.busy)
    return found


async def _look(port: int, secret: str, ages: list[float] | None) -> None:
    """Take a stream for ever; note how old its records are, where that is wanted."""
    reader, writer = await asyncio.open_connection(HOST, port, limit=2**24)
    writer.write(
        f"GET /api/events HTTP/1.1\r\nHost: {HOST}\r\n"
        f"Authorization: Bearer {secret}\r\n\r\n".encode()
    )
    while chunk := await (reader.read(2**16) if ages is None else reader.readline()):
        if ages is not None and chunk.startswith(b'data: {"records"'):
            now = time.time() * 1000
            ages += [now - each["at"] for each in orjson.loads(chunk[6:])["records"]]


async def _audience(port: int, secret: str, count: int) -> list[float]:
    ages: list[float] = []
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    tasks = [
        asyncio.create_task(_look(port, secret, ages if number == 0 else None))
        for number in range(count)
    ]
    sys.stdout.write(f"{STARTED}\n")
    sys.stdout.flush()
    await told.wait()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return ages


if __name__ == "__main__":
    # In earnest they are people's machines, and take nothing from this one.
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    found = asyncio.run(_audience(int(sys.argv[1]), os.environ["SECRET"], int(sys.argv[2])))
    sys.stdout.write(orjson.dumps(found).decode())
