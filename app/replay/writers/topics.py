"""Records enter; they stand on topics of their own, under another prefix."""

from __future__ import annotations

from app.core.events import Output
from app.errors import ConfigurationError
from app.runtime import topics
from app.runtime.kafka import KafkaLog
from app.runtime.ports import Entry, Place
from app.runtime.topics import Cluster

PIECE = 1_000


class TopicWriter:
    """Appends what is made to the same topics under another prefix."""

    def __init__(self, log: KafkaLog) -> None:
        self._log = log
        self._waiting: list[Entry] = []

    @classmethod
    async def open(cls, cluster: Cluster) -> TopicWriter:
        """Create the topics behind a cluster's prefix and return their writer.

        Raises:
            ConfigurationError: One of them holds records.
        """
        await topics.create(cluster)
        log = KafkaLog(cluster.bootstrap, cluster.prefix, **cluster.security())
        await log.start()
        for name in topics.declared():
            for number in range(await log.partitions(name)):
                if (await log.bounds(Place(name, number)))[1]:
                    await log.stop()
                    raise ConfigurationError(
                        f"{cluster.prefix}{name} holds records: a replay writes to topics of its "
                        f"own; name another prefix with --topics."
                    )
        return cls(log)

    def take(self, output: Output, raw: bytes) -> None:
        """Take a record, given its bytes on the wire; `flush` appends it."""
        self._waiting.append(Entry(output.topic, output.key.encode(), raw))

    async def flush(self) -> None:
        """Append what waits; raises AppendError."""
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), PIECE):
            await self._log.append(waiting[start : start + PIECE])

    async def close(self) -> None:
        """Append what waits and disconnect."""
        await self.flush()
        await self._log.stop()
