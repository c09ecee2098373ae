"""Days of made-up trades enter; workers take them as they come; the run is held against replay."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

from app.pipeline import EDGES, STAGES
from app.storage.database import Database
from app.times import format_time
from tests.integration.worker import Installation, installed
from tests.proof.market import DAY_MS, Days
from tests.proof.processes import lockstep
from tests.proof.protocol import Protocol
from tests.proof.site import SYMBOLS, configuration, decided, rests, until
from tests.proof.verifying import proved
from tests.proof.workers import PATIENCE, Crew, Kept, crew

STRATEGIES = ("{lookback: 30, entry: 0.001}", "{fast: 12, slow: 26, signal: 9}", 5_000)
WORKING = ",".join([*(stage.name for stage in STAGES), EDGES[1]])
WORKERS = 2
ALLOWED = 500
"""MiB that a replay may take."""
AT_ONCE = 2
"""Imports side by side."""
TRIES = 5
SAID = 300
FILES = 2
"""Dump files of each instrument that one import takes."""


async def prove(seed: int, days: int, trades: int, folder: Path, protocol: Protocol) -> None:
    """Let workers take the days while they are imported; then verify, and replay."""
    source = Days(seed, SYMBOLS, days, trades)
    dumps = await asyncio.to_thread(source.write, folder / "dumps")
    place = folder / "days"
    place.mkdir(parents=True, exist_ok=True)
    async with installed(place, configuration=configuration(*STRATEGIES)) as installation:
        async with crew(installation, protocol.say, LOCKSTEP_WORKER__STAGES=WORKING) as hands:
            await Work(installation, hands, source, dumps, protocol).done()
        middle = source.start + days // 2 * DAY_MS
        peak = await proved(installation, protocol, middle)
        protocol.holds(
            f"a replay of all of them takes less than {ALLOWED} MiB: {peak:.0f}",
            holds=peak < ALLOWED,
        )


class Work:
    """An import, and the workers that take it as it comes."""

    def __init__(
        self,
        installation: Installation,
        hands: Crew,
        source: Days,
        dumps: dict[str, list[Path]],
        protocol: Protocol,
    ) -> None:
        self._installation = installation
        self._hands = hands
        self._source = source
        self._dumps = dumps
        self._protocol = protocol
        self._workers: list[Kept] = []
        self._strikes = {
            source.pieces // 4 // FILES: self._kill,
            source.pieces // 3 // FILES: self._halt,
            source.pieces // 2 // FILES: self._stop,
            source.pieces * 2 // 3 // FILES: self._resume,
        }

    async def done(self) -> None:
        """Import step by step; none before the one before the last is decided on."""
        began = time.monotonic()
        for _ in range(WORKERS):
            self._workers.append(await self._hands.hire())
        for step in range(self._source.pieces // FILES):
            await self._import(step)
            if step in self._strikes:
                await self._strikes[step]()
            await self._decided(self._source.start + step * FILES * self._source.piece)
            self._tell(step, time.monotonic() - began)
        await self._decided(self._source.end)
        decided_after = time.monotonic() - began
        await rests(self._installation, PATIENCE)
        await self._end(decided_after, time.monotonic() - began)

    async def _import(self, step: int) -> None:
        lane = asyncio.Semaphore(AT_ONCE)

        async def one(symbol: str) -> None:
            files = map(str, self._dumps[symbol][step * FILES : (step + 1) * FILES])
            words = ("import", *files, "--instrument", f"BINANCE:{symbol}")
            async with lane:
                await self._again_until_done(words)

        await asyncio.gather(*(one(symbol) for symbol in SYMBOLS))

    async def _again_until_done(self, words: tuple[str, ...]) -> None:
        """Run an import; where a broker was away, again: nothing is put there twice."""
        for _ in range(TRIES):
            done = await lockstep(self._installation.environment, *words)
            if not done.code:
                return
            self._protocol.say(f"      {done}: {done.error.strip()[-SAID:]}")
        raise RuntimeError(f"{' '.join(words)} failed {TRIES} times")

    async def _decided(self, moment: int) -> None:
        """Wait until both accounts have decided up to a time."""

        async def come() -> bool:
            return await decided(self._installation) >= moment

        if moment > self._source.start:
            await until(come, f"decisions up to {format_time(moment)}", PATIENCE)

    def _tell(self, step: int, seconds: float) -> None:
        peaks = ", ".join(f"{worker.largest():.0f}" for worker in self._workers)
        end = format_time(self._source.start + (step + 1) * FILES * self._source.piece)
        self._protocol.say(f"      imported up to {end} after {seconds:.0f} s; MiB: {peaks}")

    async def _kill(self) -> None:
        await self._again(signal.SIGKILL, -signal.SIGKILL)

    async def _stop(self) -> None:
        await self._again(signal.SIGTERM, 0)

    async def _again(self, number: signal.Signals, wanted: int) -> None:
        worker = self._workers.pop(0)
        code = await worker.end(number)
        self._workers.append(await self._hands.hire())
        self._protocol.holds(
            f"a worker ended with {code} by {number.name}, having taken at most "
            f"{worker.peak:.0f} MiB; another took its place",
            holds=code == wanted,
        )

    async def _halt(self) -> None:
        await self._command("halt")

    async def _resume(self) -> None:
        await self._command("resume")

    async def _command(self, action: str) -> None:
        done = await lockstep(self._installation.environment, action, "paper")
        self._protocol.said(done, 0)

    async def _end(self, decided_after: float, stored_after: float) -> None:
        async with Database(self._installation.settings()) as database:
            count = await database.fetchval("SELECT count(*) FROM trades")
        self._protocol.holds(
            f"{count:,} trades of {len(SYMBOLS)} instruments, imported as they were worked on: "
            f"decided in {decided_after:.0f} s ({count / decided_after:,.0f} a second), stored in "
            f"{stored_after:.0f} s",
            holds=count >= self._source.trades,
        )
        for worker in self._workers:
            code = await worker.end(signal.SIGTERM)
            self._protocol.holds(
                f"a worker took at most {worker.peak:.0f} MiB and ended with {code}",
                holds=code == 0,
            )
