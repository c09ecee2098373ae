"""Settings enter; topics, a schema and workers of their own leave, and are gone at the end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from app.config import Settings
from app.config_sections import Kafka
from app.core.events import Message, Portfolio
from app.errors import LockstepError, UnreachableError
from app.pipeline import EDGES, STAGES
from app.runtime import topics
from app.runtime.codec import decode
from app.runtime.groups import Groups
from app.runtime.sink import SINK_TOPICS
from app.storage import migrations
from app.storage.database import Database
from bench.market import Market, Packed, split

DECIDING = tuple(stage.name for stage in STAGES)
SINK = EDGES[1]
WARM = 3
"""Decision times that wake a worker: at the second, execution has had its first turn."""

STOPS_WITHIN = 15.0  # seconds
PATIENCE = 300.0  # seconds
LAST = 100  # records of a partition that are looked at again


@dataclasses.dataclass(frozen=True, slots=True)
class Appended:
    """A record that stands in the log.

    Attributes:
        time: When the broker appended it, milliseconds since the epoch.
        message: What it holds.
    """

    time: int
    message: Message


Beside = Callable[["Installation"], contextlib.AbstractAsyncContextManager[None]]
"""What runs beside an installation while it is measured."""


def nothing(_: Installation) -> contextlib.AbstractAsyncContextManager[None]:
    """Let nothing run beside it."""
    return contextlib.nullcontext()


class Installation:
    """One run's topics, schema and workers; everything is named by one prefix.

    Attributes:
        kafka: The log's settings with the prefix.
        database: The database, in a schema of the run.
    """

    def __init__(self, settings: Settings, stages: Sequence[str], workers: int = 1) -> None:
        name = f"bench_{uuid.uuid4().hex[:10]}"
        self._stages = tuple(stages)
        self.kafka: Kafka = settings.kafka.model_copy(update={"prefix": f"{name}."})
        storage = dataclasses.replace(settings.database.storage(), schema=name)
        self.database = Database(storage)
        self._wanted = workers
        self._workers: list[asyncio.subprocess.Process] = []
        self._said = Path(tempfile.mkstemp(prefix="bench-worker-")[1])
        clients = {"bootstrap_servers": self.kafka.bootstrap, **self.kafka.security()}
        self.producer = AIOKafkaProducer(acks="all", enable_idempotence=True, **clients)
        self._consumer = AIOKafkaConsumer(**clients)
        # One that never reads: a question would wait behind the other's long poll.
        self._asking = AIOKafkaConsumer(**clients)

    async def __aenter__(self) -> Self:
        try:
            await topics.create(self.kafka)
            for client in (self.producer, self._consumer, self._asking):
                await client.start()
            if SINK in self._stages:
                await migrations.apply(self.database)
            self._workers = [await self._start() for _ in range(self._wanted)]
        except UnreachableError:
            await self._disconnect()  # there is nothing to remove, and nowhere to remove it from
            raise
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        removing = asyncio.ensure_future(self._remove())
        try:
            await asyncio.shield(removing)
        except asyncio.CancelledError:
            await removing  # being told to end is no reason to leave things behind
            raise

    async def _remove(self) -> None:
        await self._stop()
        await self._disconnect()
        await delete_topics(self.kafka)
        await drop_schema(self.database)
        self._said.unlink()

    async def _disconnect(self) -> None:
        for client in (self.producer, self._consumer, self._asking):
            await client.stop()

    def processor_seconds(self) -> float:
        """Return the processor time that the workers have used so far, in all."""
        return sum(self.processor_seconds_each())

    def processor_seconds_each(self) -> list[float]:
        """Return the processor time that each worker has used so far."""
        return [_processor_seconds(worker.pid) for worker in self._workers]

    def resident(self) -> int:
        """Return the bytes of memory that the workers hold, in all."""
        pages = [int(_proc(worker.pid, "statm").split()[1]) for worker in self._workers]
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    async def joined(self) -> None:
        """Wait until every worker is a member of every stage's group."""
        await self._until(self._joined(), "be in every stage's group")

    async def _joined(self) -> None:
        groups = Groups(self.kafka)
        for stage in self._stages:
            while await groups.membership(stage) != ("Stable", self._wanted):  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # a group tells nobody that it has changed

    async def append(self, packed: Packed) -> asyncio.Future[Any]:
        """Append a record of `trades`; the future holds where and when it stands."""
        future: asyncio.Future[Any] = await self.producer.send(
            self.kafka.prefix + "trades", packed.value, packed.instrument.encode()
        )
        return future

    async def append_all(self, records: Sequence[Packed]) -> None:
        """Append records of `trades` and wait until they are acknowledged."""
        await asyncio.gather(*[await self.append(packed) for packed in records])

    async def decided(self, accounts: int, time: int) -> None:
        """Wait until every account's portfolio of a decision time stands in the log."""
        await self._until(self._decided(accounts, time), f"the portfolios of {time}")

    async def stored(self) -> None:
        """Wait until the database holds all that stands in the log now."""
        await self._until(self._stored(), "the end of what is to be stored")

    async def wake(self, market: Market, records: Sequence[Packed]) -> list[Packed]:
        """Feed the first bars and wait until every stage has taken its part; return the rest."""
        time = market.after(WARM)
        first, rest = split(records, time)
        await self.append_all([*market.steering(), *first])
        await self.decided(len(market.accounts()), time)
        if SINK in self._stages:
            await self.stored()
        return rest

    async def ordered(self, count: int, time: int) -> None:
        """Wait until so many orders records of a decision time stand in the log."""
        await self._until(self._count("orders", "orders", count, time), f"the orders of {time}")

    async def _count(self, topic: str, kind: str, count: int, time: int) -> None:
        async for appended in self._follow(topic):
            record: Any = appended.message.record
            count -= (record.TYPE, record.time) == (kind, time)
            if not count:
                return

    async def _decided(self, accounts: int, time: int) -> None:
        seen: set[str] = set()
        async for appended in self._follow("portfolio"):
            if getattr(appended.message.record, "time", 0) == time:
                seen.add(appended.message.name)
            if len(seen) == accounts:
                return

    async def _stored(self) -> None:
        ends = {
            (name, place.partition): offset
            for name in SINK_TOPICS
            for place, offset in (await self._asking.end_offsets(self._places(name))).items()
            if offset
        }
        while True:
            held = await self.database.fetch("SELECT * FROM sink_offsets")
            reached = {(row["topic"], row["topic_partition"]): row["next_offset"] for row in held}
            if all(reached.get(place, 0) >= offset for place, offset in ends.items()):
                return
            await asyncio.sleep(0.02)  # a table can't say when it has grown

    async def read(self, topic: str) -> list[Appended]:
        """Return all that stands on a topic now."""
        ends = await self._asking.end_offsets(self._places(topic))
        left = sum(ends.values())
        found: list[Appended] = []
        if left:
            async for appended in self._follow(topic):
                found.append(appended)
                if len(found) == left:
                    break
        return found

    async def held(self) -> int:
        """Return how many records the topics hold, states aside."""
        places = [
            place for name in topics.declared() if "state" not in name
            for place in self._places(name)
        ]  # fmt: skip
        return sum((await self._asking.end_offsets(places)).values())

    async def decisions(self, accounts: int) -> AsyncIterator[int]:
        """Yield each decision time once every account's portfolio of it stands in the log."""
        seen: Counter[int] = Counter()
        async for appended in self._follow("portfolio"):
            if isinstance(record := appended.message.record, Portfolio):
                seen[record.time] += 1
                if seen[record.time] == accounts:
                    yield record.time

    async def times(self, topic: str) -> list[int]:
        """Return the decision time of the newest record of each partition of a topic."""
        places = self._places(topic)
        ends = await self._asking.end_offsets(places)
        found = []
        for place in places:
            if ends[place]:
                self._consumer.assign([place])
                self._consumer.seek(place, ends[place] - 1)
                message = decode((await self._consumer.getone(place)).value)
                found.append(getattr(message.record, "time", 0))
        return found

    async def first_order(self, after: int) -> tuple[int, int]:
        """Return when the first `orders` of a later decision time was appended, and that time."""
        found: list[tuple[int, int]] = []
        await self._until(self._later("orders", after, found), f"orders after {after}")
        return found[0]

    async def _later(self, topic: str, after: int, found: list[tuple[int, int]]) -> None:
        async for appended in self._follow(topic, last=LAST):
            time = getattr(appended.message.record, "time", 0)
            if time > after:
                found.append((appended.time, time))
                return

    async def end(self, number: signal.Signals) -> None:
        """Send every worker a signal and wait until it has ended."""
        for worker in self._workers:
            worker.send_signal(number)
        for worker in self._workers:
            await worker.wait()

    async def restart(self, log_level: str) -> None:
        """Start workers in place of those that have ended."""
        self._said.write_bytes(b"")
        self._workers = [await self._start(log_level) for _ in range(self._wanted)]

    def said(self) -> str:
        """Return what the workers have said since they were started."""
        return self._said.read_text()

    async def _follow(self, topic: str, last: int | None = None) -> AsyncIterator[Appended]:
        """Yield a topic's records as they come, of each partition at most so many old ones."""
        places = self._places(topic)
        self._consumer.assign(places)
        await self._consumer.seek_to_beginning(*places)
        if last is not None:
            for place, end in (await self._asking.end_offsets(places)).items():
                self._consumer.seek(place, max(0, end - last))
        while True:
            for batch in (await self._consumer.getmany(timeout_ms=200)).values():
                for record in batch:
                    yield Appended(record.timestamp, decode(record.value))

    def _places(self, topic: str) -> list[TopicPartition]:
        count = topics.declared()[topic].partitions
        return [TopicPartition(self.kafka.prefix + topic, number) for number in range(count)]

    async def _until(self, work: Coroutine[Any, Any, None], what: str) -> None:
        """Wait for something the worker does, unless it ends or is far too slow."""
        task = asyncio.ensure_future(work)
        ended = [asyncio.ensure_future(worker.wait()) for worker in self._workers]
        try:
            await asyncio.wait(
                {task, *ended}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED
            )
            if task.done():
                return task.result()
        finally:
            for waiting in (task, *ended):
                waiting.cancel()
        raise LockstepError(
            f"The worker did not come to {what}; it said: {self._said.read_text()[-2000:]}"
        )

    async def _start(self, log_level: str = "warning") -> asyncio.subprocess.Process:
        environment = os.environ | {
            "LOCKSTEP_KAFKA__BOOTSTRAP": self.kafka.bootstrap,
            "LOCKSTEP_KAFKA__PREFIX": self.kafka.prefix,
            "LOCKSTEP_DATABASE__SCHEMA": self.database.settings.schema,
            "LOCKSTEP_WORKER__STAGES": ",".join(self._stages),
            "LOCKSTEP_WORKER__LOG_LEVEL": log_level,
        }
        with self._said.open("ab") as said:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "faust", "-A", "app", "worker", "-l", "error",
                env=environment, stdout=said, stderr=said,
            )  # fmt: skip

    async def _stop(self) -> None:
        running = [worker for worker in self._workers if worker.returncode is None]
        for worker in running:
            worker.send_signal(signal.SIGTERM)
        for worker in running:
            try:
                await asyncio.wait_for(worker.wait(), STOPS_WITHIN)
            except TimeoutError:
                worker.kill()
                await worker.wait()


def _proc(number: int, name: str) -> str:
    return Path(f"/proc/{number}/{name}").read_text()


def _processor_seconds(number: int) -> float:
    # The second word is the command in brackets and may hold spaces.
    words = _proc(number, "stat").rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


async def drop_schema(database: Database) -> None:
    """Drop a run's schema, and close its connections."""
    async with database.connection() as connection:
        await connection.execute("SET client_min_messages = warning")
        await connection.execute(f'DROP SCHEMA IF EXISTS "{database.settings.schema}" CASCADE')
    await database.close()


async def delete_topics(kafka: Kafka) -> None:
    """Delete a run's topics."""
    async with topics.administration(kafka) as client:
        await client.delete_topics([kafka.prefix + name for name in topics.declared()])
