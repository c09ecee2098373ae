"""Real processes on topics and a schema of their own: workers, commands, and what they leave."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.cli import FAUST
from app.commands.stack import CHECKOUT
from app.config_sections import Kafka
from app.core.events import Join, Message, Portfolio, Record
from app.market.exchange import DumpMarket, ExchangeSettings, LocalExchange, SyntheticMarket
from app.replay.driver import distinct
from app.runtime import topics
from app.runtime.codec import decode
from app.runtime.kafka import KafkaLog
from app.runtime.ports import Place, Stored
from app.runtime.status import status
from app.storage import migrations
from app.storage.database import Database, DatabaseSettings

DAY = 1_570_752_000_000  # 2019-10-11
HOUR = 3_600_000
MINUTE = 60_000
AHEAD = 4 * MINUTE
STANDSTILL = 4.0
START = DAY + HOUR
PATIENCE = 180.0
A, B, X = "BINANCE:AAAUSDT", "BINANCE:BBBUSDT", "BINANCE:XRPETH"
XRPETH = DumpMarket(
    CHECKOUT / "tests" / "data" / "XRPETH-trades-2019-10-11.csv", "XRPETH", "XRP", "ETH"
)
LOCKSTEP = "from app.cli import main; main()"
CONFIGURATION = """
market: {patience: 5s}
kafka: {session_timeout: 6s}
accounts:
  paper:
    quote: USDT
    capital: 100000
    instruments: [BINANCE:AAAUSDT, BINANCE:BBBUSDT]
    strategies:
      momentum: {lookback: 3, entry: 0.0002}
      macd: {fast: 2, slow: 4, signal: 2}
    risk: {order_notional: 25000, position_notional: 50000, gross_notional: 100000,
           daily_loss: 50000, drawdown: 0.9, stale_after: 1h}
    execution: {participation: 0.5}
  real:
    quote: ETH
    capital: 1000
    instruments: [BINANCE:XRPETH]
    strategies:
      momentum: {lookback: 3, entry: 0.0001}
    risk: {order_notional: 300, position_notional: 500, gross_notional: 1000,
           daily_loss: 500, drawdown: 0.9, stale_after: 1h}
"""


def synthetic(symbol: str, seed: int) -> SyntheticMarket:
    return SyntheticMarket(symbol, symbol[:3], "USDT", seed=seed, rate=0.3)


def exchange(**settings: Any) -> LocalExchange:
    """Return an exchange with two made-up markets and a real one, which waits for its client."""
    usual: dict[str, Any] = {"start": START, "wait_for_subscribers": True, "history_ms": HOUR}
    markets = [synthetic("AAAUSDT", 1), synthetic("BBBUSDT", 2), XRPETH]
    return LocalExchange(ExchangeSettings(**usual | settings), markets)


T = TypeVar("T")
_message = functools.lru_cache(200_000)(decode)  # topics are read again and again


async def eventually(
    ask: Callable[[], Awaitable[T]],
    holds: Callable[[T], Any],
    said: Callable[[], object] = str,
) -> T:
    """Ask until the answer is what is wanted, and return it; a deadline makes it a failure."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = await ask()
        if holds(answer):
            return answer
        assert time.monotonic() < deadline, f"{str(answer)[-2000:]} {said()}"
        await asyncio.sleep(0.1)  # between two questions, not for an outcome


@dataclass(frozen=True, slots=True)
class Done:
    """What a process left."""

    code: int
    out: str
    error: str


class Worker:
    """A worker process whose log can be waited for."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._said = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            async with self._said:
                self.lines.append(line.decode())
                self._said.notify_all()

    async def says(self, *words: str, since: int = 0) -> str:
        """Wait for the first line from `since` on that holds all the words, and return it."""

        def found() -> str | None:
            lines = self.lines[since:]
            return next((line for line in lines if all(word in line for word in words)), None)

        async with asyncio.timeout(PATIENCE), self._said:
            await self._said.wait_for(found)
        return found() or ""

    async def ends(self) -> int:
        """Wait until it has ended and all it said is read; return its exit code."""
        code = await asyncio.wait_for(self.process.wait(), PATIENCE)
        await self._reading
        return code

    async def end(self, number: int) -> int:
        self.process.send_signal(number)
        return await self.ends()


class Installation:
    """A prefix, a schema and a folder of settings; `environment` is what its processes see."""

    def __init__(self, folder: Path, configuration: str = CONFIGURATION) -> None:
        unique = uuid.uuid4().hex[:8]
        self.prefix, self.schema = f"it-{unique}.", f"it_{unique}"
        self.cluster = Kafka(bootstrap=os.environ["LOCKSTEP_KAFKA__BOOTSTRAP"], prefix=self.prefix)
        self.log = KafkaLog(self.cluster.bootstrap, self.prefix)
        self.folder = folder
        (folder / "app.yaml").write_text(configuration)
        (folder / "database.yaml").write_text("retry_for: 1s\n")
        self.environment = os.environ | {
            "LOCKSTEP_CONFIG": str(folder),
            "LOCKSTEP_KAFKA__PREFIX": self.prefix,
            "LOCKSTEP_DATABASE__SCHEMA": self.schema,
        }
        self.workers: list[Worker] = []
        self._tails: dict[Place, list[Stored]] = {}

    def settings(self) -> DatabaseSettings:
        """Return the way to its schema, past any proxy."""
        fields = ("HOST", "PORT", "NAME", "USER", "PASSWORD")
        host, port, name, user, password = (os.environ[f"LOCKSTEP_DATABASE__{f}"] for f in fields)
        return DatabaseSettings(host, int(port), name, user, password, schema=self.schema)

    def serve(self, play: LocalExchange) -> None:
        """Let the workers started from here on trade on an exchange."""
        self.environment["LOCKSTEP_MARKET__STREAM"] = play.ws_url
        self.environment["LOCKSTEP_MARKET__REST"] = play.rest_url

    def configure(self, configuration: str) -> None:
        """Write `app.yaml` anew, for the workers started from here on."""
        (self.folder / "app.yaml").write_text(configuration)

    async def start(self, *program: str, **environment: str) -> Worker:
        """Start a worker, or another program that runs one: the words after `python`."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, *(program or ("-m", "faust", "-A", "app", "worker")),
            cwd=CHECKOUT,
            env=self.environment | environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=2**24,
        )  # fmt: skip
        self.workers.append(Worker(process))
        return self.workers[-1]

    async def run(self, *words: str, **environment: str) -> Done:
        """Run `faust -A app` with Faust's own commands, or `lockstep` with ours, to its end."""
        door = ("-m", "faust", "-A", "app") if words[0] in FAUST else ("-c", LOCKSTEP)
        process = await asyncio.create_subprocess_exec(
            sys.executable, *door, *words,
            cwd=CHECKOUT,
            env=self.environment | environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, error = await asyncio.wait_for(process.communicate(), PATIENCE)
        return Done(process.returncode or 0, out.decode(), error.decode())

    async def status(self) -> Any:
        """Return what `status --json` tells."""
        done = await self.run("status", "--json")
        assert done.code == 0, done.error
        return json.loads(done.out)

    async def waiting(self) -> dict[str, Mapping[str, str]]:
        """Return what `status` tells that each stage's keys wait for, without a process's start."""
        told = await status(self.cluster, self.settings())
        return {stage.stage: stage.waiting for stage in told.stages}

    async def stored(self, topic: str) -> list[Stored]:
        """Return what stands on a topic, partition by partition; only what is new is read."""
        found: list[Stored] = []
        for number in range(topics.declared()[topic].partitions):
            tail = self._tails.setdefault(Place(topic, number), [])
            start = tail[-1].offset + 1 if tail else 0
            tail += await self.log.read(Place(topic, number), start)
            found += tail
        return found

    async def messages(self, topic: str) -> list[Message]:
        """Return each message of a topic once; a repeat must be the same bytes.

        What enters may be repeated in other batches, so all of it is returned, in its order.
        """
        messages = [_message(each.value) for each in await self.stored(topic)]
        return messages if topic == "trades" else distinct(messages)

    async def records(self, topic: str, kind: type[Record]) -> list[Any]:
        """Return the records of one type."""
        return [m.record for m in await self.messages(topic) if isinstance(m.record, kind)]

    async def until(
        self, topic: str, kind: type[Record], holds: Callable[[list[Any]], Any]
    ) -> list[Any]:
        """Wait until a topic's records of one type hold what is wanted, and return them."""
        return await eventually(lambda: self.records(topic, kind), holds, self.said)

    def said(self) -> list[str]:
        """Return the last lines of the workers, for a failure's message."""
        return [line for worker in self.workers for line in worker.lines[-3:]]


@contextlib.asynccontextmanager
async def installed(
    folder: Path,
    *,
    with_schema: bool = True,
    with_topics: bool = True,
    configuration: str = CONFIGURATION,
) -> AsyncIterator[Installation]:
    """Make an installation's topics and tables; at the end nothing is left of it."""
    installation = Installation(folder, configuration)
    if with_topics:
        await topics.create(installation.cluster)
    if with_schema:
        async with Database(installation.settings()) as database:
            await migrations.apply(database)
    await installation.log.start()
    try:
        yield installation
    finally:
        for worker in installation.workers:
            if worker.process.returncode is None:
                worker.process.kill()
                await worker.ends()
        await installation.log.stop()
        await remove(installation)


async def remove(installation: Installation, *names: str) -> None:
    """Delete its schema and its topics, or those named."""
    settings = installation.settings()
    connection = await asyncpg.connect(
        host=settings.host,
        port=settings.port,
        database=settings.name,
        user=settings.user,
        password=settings.password,
    )
    await connection.execute("SET client_min_messages = warning")
    await connection.execute(f"DROP SCHEMA IF EXISTS {installation.schema} CASCADE")
    await connection.close()
    async with administrator(installation) as client:
        await client.delete_topics(
            [installation.prefix + name for name in names or topics.declared()]
        )


@contextlib.asynccontextmanager
async def administrator(installation: Installation) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=installation.cluster.bootstrap)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def create_topic(installation: Installation, name: str, partitions: int) -> None:
    """Create a topic with the broker's own settings."""
    async with administrator(installation) as client:
        await client.create_topics([NewTopic(installation.prefix + name, partitions, 1)])


@contextlib.asynccontextmanager
async def paced(installation: Installation, play: LocalExchange) -> AsyncIterator[None]:
    """Hold the exchange's time while decisions are behind, however busy the machine is."""
    play.clock.hold()
    task = asyncio.create_task(_pace(installation, play))
    try:
        yield
    finally:
        play.clock.hold()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _pace(installation: Installation, play: LocalExchange) -> None:
    before: dict[str, int] = {}
    moved = time.monotonic()
    while True:
        newest: dict[str, int] = {}
        for portfolio in await installation.records("portfolio", Portfolio):
            newest[portfolio.account] = max(portfolio.time, newest.get(portfolio.account, 0))
        if newest != before:
            before, moved = newest, time.monotonic()
        joined = newest or await installation.records("trades", Join)
        near = play.clock.now - min(newest.values(), default=play.clock.now) <= AHEAD
        # What does not move may wait for time itself: for a join that is still to come.
        if joined and (near or time.monotonic() - moved > STANDSTILL):
            play.clock.release()
        else:
            play.clock.hold()
        await asyncio.sleep(0.1)  # between two looks


def invested(holdings: Any) -> bool:
    return any(holding.quantity != Decimal(0) for holding in holdings)
