"""A run's topics on Kafka, read piece by piece, however long they are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer

from app.runtime.kafka import KafkaLog, batches
from app.runtime.ports import Place, Stored
from app.runtime.topics import Cluster


class KafkaRecording:
    """The topics behind a prefix, as an asynchronous context manager; it writes nothing."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._log = KafkaLog(cluster.bootstrap, cluster.prefix, **cluster.security())
        self._readers: dict[AIOKafkaConsumer, None] = {}

    async def __aenter__(self) -> Self:
        await self._log.start(reading_only=True)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for reader in list(self._readers):
            await end(reader)
        await self._log.stop()

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has; raises UnreachableError where it is missing."""
        return await self._log.partitions(topic)

    async def bounds(self, place: Place) -> tuple[int, int]:
        """Return the first offset that is there and the offset the next record will have."""
        return await self._log.bounds(place)

    def partition_for(self, key: bytes, partitions: int) -> int:
        """Return the partition of a key among `partitions`."""
        return self._log.partition_for(key, partitions)

    async def chunks(self, place: Place, start: int, stop: int) -> AsyncIterator[list[Stored]]:
        """Yield what stands from `start` to before `stop`, a fetch of about a megabyte a time."""
        if start >= stop:
            return
        reader = AIOKafkaConsumer(
            bootstrap_servers=self._cluster.bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=100,
            **self._cluster.security(),
        )
        await reader.start()
        # A reader of a lane that is left in the middle is stopped with the recording.
        self._readers[reader] = None
        pieces = batches(reader, self._cluster.prefix, place, start, stop)
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                yield piece
        del self._readers[reader]
        await end(reader)


async def end(reader: AIOKafkaConsumer) -> None:
    """Stop a consumer; raises CancelledError only where the caller is cancelled.

    The client lets a question that timed out end its own stop as if it had been cancelled.
    """
    try:
        await reader.stop()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
