"""A plan enters; an exchange, a worker and a view run until the database holds every decision."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from rich.console import Console
from rich.live import Live

from app.config import Settings, load
from app.demo import summary, view
from app.demo.pace import Pace
from app.demo.picture import Picture
from app.demo.plan import Plan
from app.demo.sweep import sweep
from app.errors import LockstepError
from app.market.exchange import ExchangeSettings, LocalExchange
from app.runtime import topics
from app.runtime.bus import EventBus
from app.runtime.codec import decode
from app.runtime.kafka import KafkaLog
from app.runtime.ports import Place
from app.runtime.sink import SINK_TOPICS
from app.storage import migrations
from app.storage.database import Database
from app.storage.store import PostgresStore

WATCHED = ("candles", "signals", "portfolio", "orders", "risk", "fills")
FRAMES_PER_SECOND = 4
LINE_SECONDS = 5.0
PACE_SECONDS = 0.2
STOP_SECONDS = 15.0
PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


async def play(plan: Plan, console: Console, folder: Path) -> None:
    """Play a plan from nothing to its summary; `folder` keeps the worker's log.

    Raises:
        LockstepError: The worker ended before the run did, or something could not be reached.
    """
    exchange_settings = ExchangeSettings(
        start=plan.start, until=plan.until, speed=plan.speed, wait_for_subscribers=True
    )
    async with AsyncExitStack() as stack:
        exchange = await stack.enter_async_context(LocalExchange(exchange_settings, plan.markets()))
        environment = plan.environment(exchange.ws_url, exchange.rest_url)
        os.environ.update(environment)
        settings = load()
        _say(console, f"run {plan.name}: exchange at {exchange.rest_url}")
        database = await stack.enter_async_context(Database(settings.database.storage()))
        await _prepare(settings, database, console)
        log_file = folder / f"{plan.name}.log"
        worker = await stack.enter_async_context(_worker(log_file))
        _say(console, f"worker started, its log is {log_file}")
        log = KafkaLog(settings.kafka.bootstrap, settings.kafka.prefix, **settings.kafka.security())
        await log.start()
        stack.push_async_callback(log.stop)
        bus, picture = EventBus(), Picture()
        pace = Pace(exchange.clock, time.monotonic())
        tasks = [
            asyncio.create_task(_keep_pace(pace, picture)),
            asyncio.create_task(_tail(settings, bus)),
            asyncio.create_task(_draw(picture, bus)),
        ]
        stack.callback(lambda: [task.cancel() for task in tasks])
        await _Show(plan, exchange, picture, pace, worker, log_file).watch(console)
        _say(console, "every decision is made; the sink catches up")
        await _stored(database, log, worker, log_file)
        await _end(worker)
        _say(console, "XRPETH is the recorded day; the USDT markets are made up.")
        await summary.show(database, console)
        _next_steps(plan, console)


async def _prepare(settings: Settings, database: Database, console: Console) -> None:
    removed = await sweep(settings, database)
    if removed:
        _say(console, f"removed what {removed} earlier demo runs had left")
    created = await topics.create(settings.kafka)
    await migrations.apply(database)
    _say(console, f"{len(created)} topics and the schema {settings.database.schema_} created")


@asynccontextmanager
async def _worker(log_file: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a worker; it is stopped however the block ends."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("wb") as output:
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "faust", "-A", "app", "worker", "-l", "error"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is ours to pass on
            preexec_fn=_die_with_us,
        )
    try:
        yield worker
    finally:
        await _end(worker)


def _die_with_us() -> None:
    """Let the kernel end the worker when we are gone, however we went (Linux only)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)


async def _end(worker: asyncio.subprocess.Process) -> None:
    if worker.returncode is not None:
        return
    worker.terminate()
    try:
        await asyncio.wait_for(worker.wait(), STOP_SECONDS)
    except TimeoutError:
        worker.kill()
        await worker.wait()


async def _tail(settings: Settings, bus: EventBus) -> None:
    """Publish what stands and comes on the watched topics."""
    prefix = settings.kafka.prefix
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka.bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=200,
        **settings.kafka.security(),
    )
    await consumer.start()
    try:
        declared = topics.declared()
        consumer.assign(
            [
                TopicPartition(prefix + name, number)
                for name in WATCHED
                for number in range(declared[name].partitions)
            ]
        )
        while True:
            found = await consumer.getmany(timeout_ms=500, max_records=1000)
            for batch in found.values():
                for record in batch:
                    bus.publish(decode(record.value))
            await asyncio.sleep(0)  # the subscriber takes what its queue holds
    finally:
        await consumer.stop()


async def _keep_pace(pace: Pace, picture: Picture) -> None:
    while True:
        pace.follow(picture, time.monotonic())
        await asyncio.sleep(PACE_SECONDS)


async def _draw(picture: Picture, bus: EventBus) -> None:
    with bus.subscribe("view", capacity=10_000) as subscription:
        async for message in subscription:
            picture.take(message)


@dataclass(frozen=True, slots=True)
class _Show:
    """What is watched: a plan played on an exchange by a worker, and how it looks."""

    plan: Plan
    exchange: LocalExchange
    picture: Picture
    pace: Pace
    worker: asyncio.subprocess.Process
    log_file: Path

    async def watch(self, console: Console) -> None:
        """Show the picture until every account has decided at the last decision time."""
        ended = asyncio.create_task(self.worker.wait())
        pause = 1 / FRAMES_PER_SECOND if console.is_terminal else LINE_SECONDS
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while not _decided(self.picture, self.plan):
                await asyncio.wait([ended], timeout=pause)
                if ended.done():
                    raise _early(self.worker, self.log_file)
                if console.is_terminal:
                    live.update(view.table(*self._now(), self._look(console)), refresh=True)
                else:
                    console.print(view.line(*self._now()), soft_wrap=True, highlight=False)
        ended.cancel()
        console.print(view.table(*self._now(), self._look(console)))

    def _look(self, console: Console) -> view.Look:
        wide = console.width >= view.WIDE
        return view.Look(wide, console.height, self.plan.made_up)

    def _now(self) -> tuple[Picture, int, str]:
        over = self.exchange.clock.finished
        state = "the market is over, decisions catch up" if over else self.pace.words()
        return self.picture, self.exchange.clock.now, state


def _decided(picture: Picture, plan: Plan) -> bool:
    accounts = picture.accounts
    return len(accounts) > 1 and all(account.time >= plan.last for account in accounts.values())


async def _stored(
    database: Database, log: KafkaLog, worker: asyncio.subprocess.Process, log_file: Path
) -> None:
    """Wait until the database holds all that stands on the topics."""
    store = PostgresStore(database)
    while True:
        ends = {
            Place(name, number): (await log.bounds(Place(name, number)))[1]
            for name in SINK_TOPICS
            for number in range(await log.partitions(name))
        }
        held = await store.positions()
        if all(held.get(place, 0) >= end for place, end in ends.items()):
            return
        if worker.returncode is not None:
            raise _early(worker, log_file)
        await asyncio.sleep(0.2)


def _early(worker: asyncio.subprocess.Process, log_file: Path) -> LockstepError:
    lines = log_file.read_text(errors="replace").strip().splitlines()
    return LockstepError(
        f"the worker ended with exit code {worker.returncode} before the run was over; its log "
        f"{log_file} ends with: {lines[-1][:500] if lines else 'nothing'}"
    )


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)


def _next_steps(plan: Plan, console: Console) -> None:
    _say(
        console,
        f"\nThe run stays until the next demo. Look into it:\n"
        f"  export LOCKSTEP_KAFKA__PREFIX={plan.name}. "
        f"LOCKSTEP_DATABASE__SCHEMA={plan.name.replace('-', '_')}\n"
        f"  .venv/bin/lockstep verify           # the run and its replay are the same run\n"
        f"  .venv/bin/lockstep topics read fills\n"
        f"  .venv/bin/lockstep positions eth\n"
        f"Kafka and TimescaleDB go on; ./run down stops them.",
    )
