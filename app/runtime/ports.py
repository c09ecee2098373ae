"""What the runtime needs of a log, as an interface: real Kafka and the simulator implement it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from app.core.events import Message


class Place(NamedTuple):
    """A partition of a topic, by its logical name."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Entry:
    """Bytes to append.

    Attributes:
        topic: Logical name, without any prefix.
        key: Decides the partition (murmur2), unless one is given.
        value: The record.
        partition: For topics partitioned like another one: state, claims, progress.
        message: What the value was made of, for whom it is handed to; none: not known.
    """

    topic: str
    key: bytes
    value: bytes
    partition: int | None = None
    message: Message | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes as they stand in the log.

    Attributes:
        topic: Logical name, without any prefix.
        partition: Of the topic.
        offset: In the partition.
        key: As it stands there.
        value: As it stands there.
        message: What the value was made of, where this process made it; none: it is to be decoded.
            What was made and what is decoded decide alike: a replay knows the former alone.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    message: Message | None = field(default=None, compare=False)


class Log(Protocol):
    """An append-only log of topics and partitions."""

    async def append(self, entries: Sequence[Entry]) -> list[int]:
        """Append and return the offsets, in order, once every one is acknowledged.

        Entries for one partition keep their order. Raises when any could not be appended:
        some of the others may have been.
        """

    async def read(self, place: Place, start: int | None = None) -> list[Stored]:
        """Return what stands from `start` (or the beginning) to the end as it is now."""

    async def bounds(self, place: Place) -> tuple[int, int]:
        """Return the first offset that is there and the offset the next record will have."""

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has."""

    def partition_for(self, key: bytes, partitions: int) -> int:
        """Return the partition of a key among `partitions`."""


class Intake(Protocol):
    """What a group of readers feeds: a stage, the sink, market data."""

    async def assign(self, places: Mapping[Place, int | None]) -> dict[Place, int]:
        """Begin to own partitions, given their committed offsets; return where to resume."""

    def revoke(self) -> None:
        """Stop owning every partition."""

    async def take(self, batches: Mapping[Place, Sequence[Stored]]) -> None:
        """Take what was read next of each partition."""

    def committable(self) -> dict[Place, int]:
        """Return the next offset to read again after a crash, by partition."""

    async def checkpoint(self) -> None:
        """Write down the progress; called about once a second, whether or not anything moved."""

    def full(self) -> frozenset[Place]:
        """Return the partitions to read no more of for the time being; asked after each take."""

    async def close(self) -> None:
        """End what goes on by itself, before a clean stop."""
