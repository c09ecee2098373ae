"""`./run bench`: measures the live path on the stack that is up; prints a table, writes JSON."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson
import uvloop
from rich.console import Console

from app.config import Settings, load
from app.errors import TERMINATED, LockstepError
from bench import (
    appending,
    days,
    growth,
    history,
    latency,
    machine,
    restart,
    sinking,
    start,
    throughput,
    viewers,
    workers,
)
from bench.market import FLUSH_AFTER, Market
from bench.peers import comparing, environment
from bench.report import Report, percentile, ratios

MINUTE = 60_000
SECOND = 1_000
INSTRUMENTS = 8
SEED = 1
HISTORY = 1_000_000  # records
TRADES = 3_000_000
VIEWERS = 50

Part = Callable[[Settings, Report, Console], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured.

    Attributes:
        rounds: How often everything is measured; the measurements take turns.
        minutes: One-minute bars of the backlog; 24,000 trades each.
        bars: One-second bars of the paced market; 2,000 trades each.
        rows: One-minute bars of the sink's backlog.
        turns: How often in a round the sink and COPY take turns.
        without: Whether the live path is measured without the sink, too.
    """

    rounds: int
    minutes: int
    bars: int
    rows: int
    turns: int
    without: bool


FULL = Size(rounds=3, minutes=20, bars=63, rows=8, turns=2, without=True)
QUICK = Size(rounds=1, minutes=5, bars=9, rows=2, turns=2, without=False)

BUSY = 3_000  # trades a minute of each instrument in a backlog
FULL_RECORDS = 10 * SECOND  # of which fill records to their most, 1,000 trades
PACED = 250  # trades a second of each instrument in the paced market


def main() -> int:
    """Parse the words, measure, print."""
    arguments = _parse()
    console = Console()
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    logging.getLogger("aiokafka").propagate = False
    try:
        report = uvloop.run(_measure(arguments, console))
    except LockstepError as error:
        sys.stderr.write(f"Error: {error}\n")
        return error.exit_code
    except asyncio.CancelledError:
        return TERMINATED
    report.show(console)
    if arguments.json:
        arguments.json.write_bytes(orjson.dumps(report.document(), option=orjson.OPT_INDENT_2))
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./run bench", description="Measure the live path.")
    parser.add_argument("--quick", action="store_true", help="one small round, under a minute")
    option = partial(parser.add_argument, type=int, nargs="?")
    option(
        "--restart", const=HISTORY, metavar="RECORDS",
        help="instead, how long a restart takes with so many records in the topics (1,000,000)",
    )  # fmt: skip
    option(
        "--viewers", const=VIEWERS, metavar="COUNT",
        help="instead, the live path with and without so many viewers of the dashboard (50)",
    )  # fmt: skip
    parser.add_argument(
        "--history",
        action="store_true",
        help="instead, how soon the dashboard shows a year of candles and a month of decisions",
    )
    option(
        "--peers",
        type=Path,
        const=environment.FOLDER,
        metavar="FOLDER",
        help="instead, beside other people's software, installed there (.local/peers)",
    )
    option(
        "--growth", const=TRADES, metavar="TRADES",
        help="instead, 1 to 500 instruments, memory over so many trades (3,000,000), two workers",
    )  # fmt: skip
    option(
        "--days", const=days.DAYS, metavar="DAYS",
        help="instead, the first and the last of so many days of one-minute bars (30)",
    )  # fmt: skip
    parser.add_argument(
        "--all",
        action="store_true",
        help="everything, one after the other: every number of docs/performance.md; takes hours",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every value there, too")
    return parser.parse_args()


async def _measure(arguments: argparse.Namespace, console: Console) -> Report:
    size = QUICK if arguments.quick else FULL
    task = asyncio.current_task()
    if task is not None:  # so that what was made is removed then, too
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    settings = load()
    report = Report(await machine.facts(settings))
    for part in _parts(arguments, size):
        await part(settings, report, console)
    return report


def _parts(arguments: argparse.Namespace, size: Size) -> Iterator[Part]:
    """Yield what was asked for, or the live path where nothing was."""
    every, rounds = arguments.all, size.rounds
    peers = arguments.peers or (environment.FOLDER if every else None)
    if peers:
        yield partial(comparing.compare, folder=peers, quick=arguments.quick)
    if growing := arguments.growth or (TRADES if every else 0):
        yield partial(growth.measure, trades=growing, rounds=rounds)
        yield partial(workers.measure, rounds=rounds)
    if lasting := arguments.days or (days.DAYS if every else 0):
        yield partial(days.measure, days=lasting)
    if viewing := arguments.viewers or (VIEWERS if every else 0):
        yield partial(viewers.measure, viewers=viewing, rounds=rounds)
    if arguments.history or every:
        yield history.measure
    if records := arguments.restart or (HISTORY if every else 0):
        yield partial(restart.measure, records=records, rounds=rounds)
    asked = peers or growing or lasting or viewing or arguments.history or records
    if not asked:  # beside the peers it is measured, too
        yield partial(_path, size=size)
    if every or not asked:
        yield appending.measure
        yield partial(_starts, turns=rounds)


async def _path(settings: Settings, report: Report, console: Console, size: Size) -> None:
    report.goals += latency.GOALS
    for number in range(size.rounds):
        for name, part in (("live path", _live), ("latency", _latency), ("sink", _sink)):
            console.print(f"round {number + 1} of {size.rounds}: {name}", highlight=False)
            await part(settings, size, report, SEED + number)


async def _starts(settings: Settings, report: Report, console: Console, turns: int) -> None:
    console.print("starts", highlight=False)
    await start.measure(settings, report, turns)
    report.goals += start.GOALS


async def _live(settings: Settings, size: Size, report: Report, seed: int) -> None:
    market = Market(INSTRUMENTS, MINUTE, BUSY, size.minutes, FULL_RECORDS)
    records = market.records(seed)
    decided = {}
    variants = (False, True) if size.without else (True,)
    for sink in variants[:: 1 if seed % 2 else -1]:
        found = await throughput.measure(settings, market, records, sink=sink)
        label = "all stages" if sink else "without the sink"
        decided[label] = found["decided"]
        report.add(f"live path, {label}: decided", "trades/s", found["decided"])
        if sink:
            report.add(f"live path, {label}: decided and stored", "trades/s", found["stored"])
        report.add(f"live path, {label}: processor", "µs/trade", found["cost"])
    if size.without:
        (ratio,) = ratios(decided, to="without the sink").values()
        report.add("live path: decided with / without the sink", "ratio", ratio)


async def _latency(settings: Settings, size: Size, report: Report, seed: int) -> None:
    market = Market(INSTRUMENTS, SECOND, PACED, size.bars, FLUSH_AFTER)
    found = await latency.measure(settings, market, market.records(seed))
    report.add_percentiles(latency.ORDERED, found.orders)
    for hop in latency.HOPS:
        report.add(f"  hop to {hop}: p50", "ms", percentile(found.hops[hop], 0.5))
    report.add("  worker's processor use", "cores", found.busy)
    report.add("  trades appended late by at most", "ms", found.behind)


async def _sink(settings: Settings, size: Size, report: Report, seed: int) -> None:
    market = Market(INSTRUMENTS, MINUTE, BUSY, size.rows, FULL_RECORDS)
    labels = {"copy": "bare COPY", "sink": "sink, messages", "bytes": "sink, bytes"}
    for found in await sinking.measure(settings, sinking.Backlog(market, seed), size.turns):
        for name, rate in found.items():
            report.add(f"{labels[name]}", "rows/s", rate)
        for name, ratio in ratios(found, to="copy").items():
            report.add(f"{labels[name]} / bare COPY", "ratio", ratio)


if __name__ == "__main__":
    sys.exit(main())
