"""The log on a real Kafka: one idempotent producer, one reader, topics under a prefix."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from app.errors import UnreachableError
from app.runtime.connection import spoken
from app.runtime.ports import Entry, Place, Stored
from app.runtime.topics import LARGEST_BATCH

REQUEST_TIMEOUT_MS = 30_000
FETCH_MS = 1_000


class AppendError(RuntimeError):
    """Records could not be appended; memory is ahead of the log, so the process must end."""


async def batches(
    reader: AIOKafkaConsumer, prefix: str, place: Place, begin: int, end: int
) -> AsyncGenerator[list[Stored], None]:
    """Yield what stands from `begin` to before `end`, a fetch a time.

    Args:
        reader: A connected one, which does nothing else meanwhile.
        prefix: What stands before the name of every topic.
        place: The partition, by its topic's logical name.
        begin: The first offset.
        end: The offset behind the last one.
    """
    partition = TopicPartition(prefix + place.topic, place.partition)
    reader.assign([partition])
    reader.seek(partition, begin)
    # The position, not the last record: compaction leaves holes, also before the end.
    while await reader.position(partition) < end:
        found = await reader.getmany(partition, timeout_ms=FETCH_MS)
        yield [
            Stored(place.topic, place.partition, record.offset, record.key, record.value)
            for record in found.get(partition, [])
            if record.offset < end
        ]


class KafkaLog:
    """Appends and reads; every topic name is put behind the installation's prefix.

    Attributes:
        appended: Is given, once acknowledged, what was appended, where it stands now.
    """

    def __init__(self, bootstrap: str, prefix: str, **security: Any) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._security = security
        self._producer: AIOKafkaProducer | None = None
        self._reader: AIOKafkaConsumer | None = None
        self._reading = asyncio.Lock()
        self.appended: Callable[[list[Stored]], None] = lambda _: None

    async def start(self, *, reading_only: bool = False) -> None:
        """Connect; to read only, where the broker may not let us write.

        Raises:
            UnreachableError: No broker answers there, or lets us in.
        """
        self._producer = None if reading_only else self._new_producer()
        self._reader = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="none",  # a position that is gone must be an error, not a guess
            fetch_max_wait_ms=1,  # it reads what is there; the next question waits behind a poll
            **self._security,
        )
        client_log = logging.getLogger("aiokafka")
        level = client_log.level
        client_log.setLevel(logging.CRITICAL)  # the sentence below says what it would say
        try:
            async with spoken(self._bootstrap, self._security):
                for client in filter(None, (self._producer, self._reader)):
                    await client.start()
        except UnreachableError:
            await self.stop()
            raise
        finally:
            client_log.setLevel(level)

    def _new_producer(self) -> AIOKafkaProducer:
        return AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",
            enable_idempotence=True,
            max_request_size=LARGEST_BATCH,
            linger_ms=0,  # latency first: what is there goes at once, what waits goes together
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            **self._security,
        )

    async def stop(self) -> None:
        """Disconnect."""
        for client in (self._producer, self._reader):
            if client is not None:
                await client.stop()
        self._producer = self._reader = None

    async def append(self, entries: Sequence[Entry]) -> list[int]:
        """Append and wait for the acknowledgements of every in-sync replica.

        Raises:
            AppendError: At least one entry could not be appended.
        """
        if self._producer is None and self._reader is not None:
            raise RuntimeError("the log was opened to read only")
        if not entries or self._producer is None:
            return []
        try:
            waiting = [
                await self._producer.send(
                    self._prefix + entry.topic, entry.value, entry.key, entry.partition
                )
                for entry in entries
            ]
            results = await asyncio.gather(*waiting)
        except KafkaError as error:
            topics = ", ".join(dict.fromkeys(entry.topic for entry in entries))
            raise AppendError(
                f"records for {topics} could not be appended: {error!r}. Start the worker again "
                f"once the broker is well: nothing is lost."
            ) from error
        if all(result.offset >= 0 for result in results):  # else a retry's answer said not where
            self.appended(
                [
                    Stored(
                        entry.topic,
                        result.partition,
                        result.offset,
                        entry.key,
                        entry.value,
                        entry.message,
                    )
                    for entry, result in zip(entries, results, strict=True)
                ]
            )
        return [result.offset for result in results]

    async def read(self, place: Place, start: int | None = None) -> list[Stored]:
        """Return what stands from `start` to the end as it is now."""
        first, end = await self.bounds(place)
        begin = first if start is None else start
        if begin >= end:
            return []
        found: list[Stored] = []
        async with self._batches(place, begin, end) as pieces:
            async for batch in pieces:
                found += batch
        return found

    async def scan(self, place: Place) -> AsyncIterator[Stored]:
        """Yield what `read` returns, without holding it; nothing else is read meanwhile."""
        begin, end = await self.bounds(place)
        if begin >= end:
            return
        async with self._batches(place, begin, end) as pieces:
            async for batch in pieces:
                for stored in batch:
                    yield stored

    async def bounds(self, place: Place) -> tuple[int, int]:
        """Return the first offset that is there and the offset the next record will have."""
        partition = self._partition(place)
        reader = self._connected()
        first = await reader.beginning_offsets([partition])
        end = await reader.end_offsets([partition])
        return first[partition], end[partition]

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has.

        Raises:
            UnreachableError: There is no such topic.
        """
        name = self._prefix + topic
        found = await self._connected()._client.fetch_all_metadata()  # noqa: SLF001 - no public way
        numbers = found.partitions_for_topic(name)
        if not numbers:
            raise UnreachableError(f"there is no topic {name}: run `lockstep topics create`.")
        return len(numbers)

    def partition_for(self, key: bytes, partitions: int) -> int:
        """Return the partition of a key, as every murmur2 producer puts it."""
        return int(murmur2(key) & 0x7FFFFFFF) % partitions

    @contextlib.asynccontextmanager
    async def _batches(
        self, place: Place, begin: int, end: int
    ) -> AsyncIterator[AsyncGenerator[list[Stored], None]]:
        """Lend the reader, for one place at a time."""
        reader = self._connected()
        found = batches(reader, self._prefix, place, begin, end)
        async with self._reading, contextlib.aclosing(found):
            try:
                yield found
            finally:
                reader.unsubscribe()  # or it would go on fetching, before every other question

    def _partition(self, place: Place) -> TopicPartition:
        return TopicPartition(self._prefix + place.topic, place.partition)

    def _connected(self) -> AIOKafkaConsumer:
        if self._reader is None:
            raise RuntimeError("the log was used before it was started")
        return self._reader
