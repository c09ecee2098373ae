"""Settings enter; Lockstep and its peers take turns on the same trades, and the ratios leave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from app.config import Settings
from bench import backtesting, latency, sinking, throughput
from bench.market import FLUSH_AFTER, Market
from bench.peers import environment
from bench.peers.running import Input, prepared, rate
from bench.report import Goal, Report

MINUTE, SECOND = 60_000, 1_000
SEED = 1
INSTRUMENTS = 8
BUSY = 3_000  # trades a minute of each instrument
CAPITAL = 1_000
"""Of an account: little, so that an order is filled by one trade or two, as in nautilus_trader,
whose orders each fill at the next trade."""


FAUST = "live path, stored / Faust agent, one tick a record"
QUIX = "live path, stored / Quix Streams, tumbling window"
BARE = "live path, without the sink / Quix Streams, tumbling window"
BACKTEST = "backtest / nautilus_trader"
SINK = "sink, bytes / bare COPY"
GOALS = (
    Goal(FAUST, 10),
    Goal(QUIX, 3),
    Goal(BARE, 15),
    Goal(BACKTEST, 10),
    Goal(SINK, 0.6),
    *latency.GOALS,
)


@dataclass(slots=True)
class Comparison:
    """One run of all of them.

    Attributes:
        minutes: Bars of the live path's and the backtest's backlog.
        ticks: Bars that go to peers one tick a record.
        bars: Bars of a second that latency is taken of.
    """

    settings: Settings
    report: Report
    console: Console
    python: Path
    minutes: int
    ticks: int
    bars: int

    async def run(self, rounds: int) -> None:
        """Let everyone take turns."""
        few = Market(INSTRUMENTS, MINUTE, BUSY, self.ticks, MINUTE).records(SEED)
        many = Market(INSTRUMENTS, MINUTE, BUSY, self.minutes, MINUTE).records(SEED)
        async with prepared(self.settings, few, many) as given:
            for number in range(rounds):
                turns = self._turns(given)
                for name in list(turns)[:: 1 if number % 2 == 0 else -1]:
                    self.console.print(f"round {number + 1} of {rounds}: {name}", highlight=False)
                    await turns[name]()
                self._relate()

    def _turns(self, given: Input) -> dict[str, Callable[[], Awaitable[None]]]:
        return {
            "Faust": lambda: self._peer("Faust agent, one tick a record", "faust_candles", given),
            "Quix Streams": lambda: self._peer(
                "Quix Streams, tumbling window", "quix_candles", given,
                PEER_CANDLES=given.environment["PEER_QUIX"],
            ),
            "aiokafka": lambda: self._peer("aiokafka, numpy of doubles", "aiokafka_fold", given),
            "nautilus_trader": lambda: self._peer(
                "nautilus_trader", "nautilus_backtest", given
            ),
            "backtest": self._backtest,
            "live path": lambda: self._live(sink=True),
            "live path without the sink": lambda: self._live(sink=False),
            "sink": self._sink,
            "latency": self._latency,
        }  # fmt: skip

    async def _peer(self, name: str, script: str, given: Input, **more: str) -> None:
        self.report.add(name, "trades/s", await rate(self.python, script, given, **more))

    async def _backtest(self) -> None:
        market = Market(INSTRUMENTS, MINUTE, BUSY, self.minutes, MINUTE, CAPITAL)
        found = backtesting.rates(market, market.records(SEED))
        self.report.add("backtest", "trades/s", found["run"])
        self.report.add("backtest, with decoding", "trades/s", found["with decoding"])

    async def _live(self, *, sink: bool) -> None:
        market = Market(INSTRUMENTS, MINUTE, BUSY, self.minutes, MINUTE, CAPITAL)
        found = await throughput.measure(self.settings, market, market.records(SEED), sink=sink)
        name = "live path, stored" if sink else "live path, without the sink"
        self.report.add(name, "trades/s", found["stored" if sink else "decided"])
        self.report.add(f"{name}: processor", "µs/trade", found["cost"])

    async def _sink(self) -> None:
        market = Market(INSTRUMENTS, MINUTE, BUSY, self.ticks, MINUTE)
        backlog = sinking.Backlog(market, SEED)
        for found in await sinking.measure(self.settings, backlog, 1):
            self.report.add("bare COPY", "rows/s", found["copy"])
            self.report.add("sink, bytes", "rows/s", found["bytes"])

    async def _latency(self) -> None:
        market = Market(INSTRUMENTS, SECOND, 250, self.bars, FLUSH_AFTER)
        found = await latency.measure(self.settings, market, market.records(SEED))
        self.report.add_percentiles(latency.ORDERED, found.orders)
        self.report.add("worker's processor use at 2,000 trades/s", "cores", found.busy)

    def _relate(self) -> None:
        """Add the ratios of the newest round."""
        for name in (FAUST, QUIX, BARE, BACKTEST, SINK):
            ours, _, theirs = name.partition(" / ")
            ratio = self.report.values[ours][-1] / self.report.values[theirs][-1]
            self.report.add(name, "ratio", ratio)


async def compare(
    settings: Settings, report: Report, console: Console, folder: Path, *, quick: bool
) -> None:
    """Measure Lockstep beside its peers; every value goes into the report."""
    console.print("installing the peers", highlight=False)
    python, versions = await environment.prepare(folder)
    report.machine |= {f"peer {name}": version for name, version in versions.items()}
    sizes = (10, 4, 14) if quick else (40, 8, 63)
    comparison = Comparison(settings, report, console, python, *sizes)
    await comparison.run(1 if quick else 3)
    report.goals += GOALS
