"""A log enters; what stands on its topics leaves, each record once, by name."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.core.events import Inbound, Message
from app.core.flow import Stage
from app.runtime.admission import admit
from app.runtime.codec import decode
from app.runtime.ports import Log, Place, Stored


@dataclass(frozen=True, slots=True)
class Kept:
    """A derived record as it was recorded first, and where."""

    place: Place
    offset: int
    value: bytes


@dataclass(slots=True)
class Recorded:
    """The derived records of one topic.

    Attributes:
        kept: By name, in the order of their partitions.
        repeats: How many records stood there again.
        altered: Repeats with other bytes than the first.
        last: The highest number of each sender to each destination.
    """

    kept: dict[str, Kept] = field(default_factory=dict)
    repeats: int = 0
    altered: list[Kept] = field(default_factory=list)
    last: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, stored: Stored) -> None:
        """Take one record as read; what has no identity was not made by a stage."""
        message = decode(stored.value)
        identity = message.identity
        if identity is None:
            return
        kept = Kept(Place(stored.topic, stored.partition), stored.offset, stored.value or b"")
        first = self.kept.setdefault(message.name, kept)
        if first is not kept:
            self.repeats += 1
            if first.value != kept.value:
                self.altered.append(kept)
        line = (identity.sender, identity.destination)
        self.last[line] = max(identity.number, self.last.get(line, 0))


async def read_topic(log: Log, topic: str) -> Recorded:
    """Return the derived records of a topic; foreign bytes among them are left out."""
    recorded = Recorded()
    for number in range(await log.partitions(topic)):
        for stored in await log.read(Place(topic, number)):
            if b'"id":"' in (stored.value or b"")[:200]:
                recorded.add(stored)
    return recorded


async def inputs(log: Log, stage: Stage, number: int) -> Iterator[tuple[str, Inbound]]:
    """Return the inputs of one partition of a stage with their keys, in event-time order.

    Each topic keeps its own order, commands among the signals theirs; between topics the order
    makes no difference to any output, so the one that needs the least memory is taken.
    """
    lanes = []
    for rank, topic in enumerate(stage.inputs):
        stored = await log.read(Place(topic, number))
        lanes.append(_lane(stage, rank, stored))
    return ((key, inbound) for _, _, key, inbound in heapq.merge(*lanes, key=lambda lane: lane[:2]))


def _lane(stage: Stage, rank: int, stored: list[Stored]) -> Iterator[tuple[int, int, str, Inbound]]:
    time = 0
    for entry in stored:
        admitted = admit(entry, stage)
        if isinstance(admitted, Message):
            time = max(time, event_time(admitted))
            inbound = Inbound(admitted, entry.topic, entry.partition, entry.offset)
            yield time, rank, (entry.key or b"").decode(), inbound


def event_time(message: Message) -> int:
    """Return a record's own time, milliseconds since the epoch UTC; 0 where it has none."""
    time = getattr(message.record, "time", 0)
    return int(time[-1] if isinstance(time, tuple) else time)
