"""Everything a fault can strike: workers kept alive, broker, database behind a proxy, exchange."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from app.commands.stack import CHECKOUT
from app.market.exchange import ExchangeSettings, LocalExchange, SyntheticMarket
from app.runtime import topics
from app.runtime.ports import Entry, Stored
from app.runtime.sink import SINK_TOPICS
from app.storage.database import Database
from tests.faults.servers import Broker, Postgres
from tests.integration.worker import HOUR, START, Installation
from tests.storage.proxy import Proxy

PATIENCE = 120.0
SOON = 45.0
"""Seconds within which a fault must meet work to count, also on a busy machine."""
BUSY = 40
"""How many records the stages must have made since one fault before the next may strike."""
RESTART_SECONDS = 0.5
DERIVED = ("candles", "signals", "portfolio", "allocations", "orders", "risk", "fills")
SYMBOLS = ("AAAUSDT", "BBBUSDT", "CCCUSDT", "DDDUSDT")
CONFIGURATION = """
market: {patience: 5s, stale_after: 2s, history_count: 60}
kafka: {session_timeout: 6s}
accounts:
  paper:
    quote: USDT
    capital: 100000
    instruments: [BINANCE:AAAUSDT, BINANCE:BBBUSDT, BINANCE:CCCUSDT]
    strategies:
      momentum: {lookback: 3, entry: 0.0002}
      macd: {fast: 2, slow: 4, signal: 2}
    risk: {order_notional: 25000, position_notional: 50000, gross_notional: 100000,
           daily_loss: 50000, drawdown: 0.9, stale_after: 24h}
    execution: {participation: 0.5}
  shadow:
    quote: USDT
    capital: 50000
    instruments: [BINANCE:BBBUSDT, BINANCE:DDDUSDT]
    strategies:
      momentum: {lookback: 2, entry: 0.0001}
    risk: {order_notional: 10000, position_notional: 20000, gross_notional: 40000,
           daily_loss: 25000, drawdown: 0.9, stale_after: 24h}
    execution: {participation: 0.5}
"""


@dataclass(frozen=True)
class Servers:
    """The servers that may be killed: those of one's own."""

    broker: Broker | None = None
    postgres: Postgres | None = None


class StuckError(RuntimeError):
    """What should have come did not, in all the time it was given."""


class Slot:
    """One worker, started again whenever it ends, as a service manager does.

    Attributes:
        exits: The exit code of every life that has ended.
    """

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.exits: list[int] = []
        self._environment = environment
        self._log = log
        self._leaving: signal.Signals | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._log.touch()
        self._kept = asyncio.create_task(self._keep())

    def send(self, number: signal.Signals) -> bool:
        """Send the living worker a signal; return whether there was one."""
        if self._process is None or self._process.returncode is not None:
            return False
        self._process.send_signal(number)
        return True

    @property
    def pid(self) -> int:
        """The living worker's process; 0 where there is none."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process and alive else 0

    @property
    def owns(self) -> bool:
        """Whether the worker has, in any of its lives, been given partitions."""
        return b'"assigned"' in self._log.read_bytes()

    @property
    def frozen(self) -> bool:
        """Whether the worker stands still by SIGSTOP."""
        if self._process is None:
            return False
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{self._process.pid}/stat").read_text()
            return status.rsplit(")", 1)[1].split()[0] == "T"
        return False

    async def leave(self, number: signal.Signals) -> int:
        """Let it end by a signal for good; return its exit code."""
        self._leaving = number
        self.send(number)
        done, _ = await asyncio.wait([self._kept], timeout=PATIENCE / 2)
        if not done:
            self.send(signal.SIGKILL)
            await self._kept
            raise StuckError(f"a worker did not end by {number.name}: see {self._log}")
        return self.exits[-1]

    async def _keep(self) -> None:
        while self._leaving is None:
            with self._log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "tests.faults.worker",
                    cwd=CHECKOUT,
                    env=self._environment,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )  # fmt: skip
            if self._leaving is not None:
                self.send(self._leaving)
            self.exits.append(await self._process.wait())
            if self._leaving is None:
                await asyncio.sleep(RESTART_SECONDS)


class Site:
    """An installation at work on a local exchange, with what is needed to disturb it."""

    def __init__(  # noqa: PLR0917 - everything a fault can strike
        self,
        installation: Installation,
        play: LocalExchange,
        proxy: Proxy,
        database: Database,
        servers: Servers,
        logs: Path,
        number: int,
    ) -> None:
        self.installation = installation
        self.play = play
        self.proxy = proxy
        self.database = database
        self.broker = servers.broker
        self.postgres = servers.postgres
        self.number = number
        self.orders = logs / "orders"
        self.clock = logs / "clock"
        self.chance = random.Random()
        self.slots: list[Slot] = []
        self.ended: list[int] = []
        self.foreign: dict[tuple[str, int, int], bytes] = {}
        self._logs = logs
        self._started = 0

    def join(self, **environment: str) -> Slot:
        """Let one more worker join."""
        self._started += 1
        log = self._logs / f"worker-{self._started}.log"
        files = {"ORDERS": str(self.orders), "CLOCK": str(self.clock)}
        self.slots.append(Slot(self.installation.environment | files | environment, log))
        return self.slots[-1]

    async def joined(self) -> Slot:
        """Let one more worker join, and wait until it has been given partitions."""
        slot = self.join()

        async def owns() -> bool:
            return slot.owns

        await self.until(owns, "a second worker owns partitions")
        return slot

    async def leave(self, slot: Slot, number: signal.Signals = signal.SIGTERM) -> int:
        """Let one worker go for good."""
        code = await slot.leave(number)
        self.slots.remove(slot)
        self.ended += slot.exits
        return code

    def exits(self) -> list[int]:
        """Return the exit code of every life of a worker that has ended, in no order."""
        return [*self.ended, *(code for slot in self.slots for code in slot.exits)]

    def said(self, *words: str) -> bool:
        """Return whether a worker has said all the words in one line."""
        return any(
            all(word in line for word in words)
            for log in self._logs.glob("worker-*.log")
            for line in log.read_text(errors="replace").splitlines()
        )

    async def poison(self, topic: str, key: str, value: bytes) -> tuple[str, int, int]:
        """Append bytes that nobody wrote who may; return topic, partition and offset."""
        log, count = self.installation.log, topics.declared()[topic].partitions
        number = log.partition_for(key.encode(), count)
        (offset,) = await log.append([Entry(topic, key.encode(), value, number)])
        place = (topic, number, offset)
        self.foreign[place] = value
        return place

    async def stored_records(self, topic: str) -> list[Stored]:
        """Return what stands on a topic without what was put there as poison."""
        return [
            each
            for each in await self.installation.stored(topic)
            if (each.topic, each.partition, each.offset) not in self.foreign
        ]

    async def close(self) -> None:
        """End every worker."""
        for slot in list(self.slots):
            slot.send(signal.SIGCONT)
            await self.leave(slot, signal.SIGKILL)

    async def made(self) -> int:
        """Return how many records the stages have made; waits for an absent broker."""
        return sum((await self.ends(DERIVED)).values())

    async def ends(self, names: tuple[str, ...]) -> dict[tuple[str, int], int]:
        """Return the end of each partition of topics; waits for an absent broker."""
        places = [
            TopicPartition(self.installation.prefix + name, number)
            for name in names
            for number in range(topics.declared()[name].partitions)
        ]
        while True:
            with contextlib.suppress(KafkaError, TimeoutError):
                reader = self.installation.log._connected()
                found = await asyncio.wait_for(reader.end_offsets(places), 10)
                prefix = self.installation.prefix
                return {(p.topic.removeprefix(prefix), p.partition): found[p] for p in places}
            await asyncio.sleep(0.2)

    async def stored(self) -> dict[tuple[str, int], int]:
        """Return the next offset of each partition that the database names."""
        rows = await self.database.fetch("SELECT * FROM sink_offsets")
        return {(row[0], row[1]): row[2] for row in rows}

    async def works(self, least: int = BUSY) -> None:
        """Wait until the stages have made, and the sink has stored, some more."""
        made, stored = await self.made(), sum((await self.stored()).values())

        async def both() -> bool:
            now = sum((await self.stored()).values())
            return await self.made() >= made + least and now >= stored + least

        await self.until(both, "the stages and the sink go on")

    async def caught_up(self, stillness: float) -> None:
        """Wait until nothing has moved for so many seconds and all of it is in the database.

        However long it takes, as long as something moves; raises StuckError when nothing does.
        """
        seen: dict[tuple[str, int], int] = {}
        held: dict[tuple[str, int], int] = {}
        since = time.monotonic()
        while True:
            ends, stored = await self.ends(SINK_TOPICS), await self.stored()
            if (ends, stored) != (seen, held):
                seen, held, since = ends, stored, time.monotonic()
            still = time.monotonic() - since
            if still > stillness and all(
                stored.get(place, 0) >= end for place, end in ends.items()
            ):
                return
            if still > PATIENCE:
                raise StuckError(f"nothing moves for {still:.0f} s, and not all of it is stored")
            await asyncio.sleep(0.1)  # between two questions, not for an outcome

    async def until(
        self, holds: Callable[[], Awaitable[bool]], what: str, patience: float | None = None
    ) -> None:
        """Ask until it holds; raises StuckError."""
        limit = PATIENCE if patience is None else patience
        if not await self.soon(holds, limit):
            raise StuckError(f"{what}: not within {limit:.0f} s")

    async def soon(self, holds: Callable[[], Awaitable[bool]], patience: float = SOON) -> bool:
        """Ask until it holds; return whether it did in time."""
        deadline = time.monotonic() + patience
        while not await holds():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.05)  # between two questions, not for an outcome
        return True


def exchange(seed: int, speed: float) -> LocalExchange:
    """Return an exchange with made-up markets, which waits for its first client."""
    settings = ExchangeSettings(
        start=START,
        speed=speed,
        wait_for_subscribers=True,
        history_ms=HOUR,
        connections_per_window=3_000,  # faults reconnect far more often than a day would
        weight_per_minute=60_000,  # and fill, fast, what hours at this speed have missed
    )
    markets = [
        SyntheticMarket(symbol, symbol[:3], "USDT", seed=seed, rate=0.3) for symbol in SYMBOLS
    ]
    return LocalExchange(settings, markets)


@contextlib.asynccontextmanager
async def opened(
    installation: Installation, servers: Servers, logs: Path, seed: int, speed: float
) -> AsyncIterator[Site]:
    """Put an installation to work behind a proxy on an exchange of its own, without workers."""
    settings = installation.settings()
    (installation.folder / "app.yaml").write_text(CONFIGURATION)
    (installation.folder / "database.yaml").write_text("retry_for: 1s\nstatement_timeout: 10s\n")
    async with (
        Proxy(settings.host, settings.port) as proxy,
        exchange(seed, speed) as play,
        Database(settings) as database,
    ):
        installation.environment |= {
            "LOCKSTEP_DATABASE__HOST": "127.0.0.1",
            "LOCKSTEP_DATABASE__PORT": str(proxy.port),
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")]),
        }
        installation.serve(play)
        site = Site(installation, play, proxy, database, servers, logs, seed)
        try:
            yield site
        finally:
            await site.close()
