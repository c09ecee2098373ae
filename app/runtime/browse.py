"""A selection of a topic enters; its records leave as readable lines, whatever their bytes are."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.partitioner import murmur2

from app.errors import LockstepError
from app.runtime.codec import readable
from app.runtime.connection import spoken
from app.runtime.topics import Cluster
from app.times import format_time

WIDEN = 8


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records: the newest, or the first from an offset or a time on.

    Attributes:
        topic: Logical name.
        count: How many at most.
        partition: Only this one; none: all.
        offset: From here on; none: the newest.
        time: From what was appended then on, milliseconds since the epoch UTC; none: the newest.
        key: Only what stands under it; none: every key.
    """

    topic: str
    count: int
    partition: int | None = None
    offset: int | None = None
    time: int | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One record, for people and scripts; `time` is when it was appended."""

    partition: int
    offset: int
    time: int
    key: str
    value: str

    def text(self) -> str:
        """Return it as one line."""
        place = f"{self.partition}/{self.offset}"
        return f"{place:10} {format_time(self.time):24} {self.key:20} {self.value}"

    def document(self) -> dict[str, Any]:
        """Return it for JSON; a value that is not JSON stays text."""
        try:
            value = json.loads(self.value)
        except ValueError:
            value = self.value
        return {
            "partition": self.partition,
            "offset": self.offset,
            "time": format_time(self.time),
            "key": self.key,
            "value": value,
        }


async def browse(cluster: Cluster, selection: Selection) -> list[Line]:
    """Return the selected records, oldest first.

    Raises:
        LockstepError: The topic or partition is not there.
        UnreachableError: No broker answered.
    """
    async with _consumer(cluster) as consumer:
        places = await _places(consumer, cluster.prefix + selection.topic, selection)
        bounds = {
            place: (begin, end)
            for place, begin in (await consumer.beginning_offsets(places)).items()
            for end in [(await consumer.end_offsets([place]))[place]]
        }
        if selection.offset is None and selection.time is None:
            found = await _newest(consumer, bounds, selection)
            return _sorted(found)[-selection.count :]
        starts = await _starts(consumer, bounds, selection)
        found = [
            line
            for place, (_, end) in bounds.items()
            for line in await _first(consumer, place, starts[place], end, selection)
        ]
        return _sorted(found)[: selection.count]


@contextlib.asynccontextmanager
async def _consumer(cluster: Cluster) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=cluster.bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=100,
        **cluster.security(),
    )
    async with spoken(cluster.bootstrap, cluster.security()):
        try:
            await consumer.start()
            yield consumer
        finally:
            await consumer.stop()


async def _places(
    consumer: AIOKafkaConsumer, name: str, selection: Selection
) -> list[TopicPartition]:
    metadata = await consumer._client.fetch_all_metadata()  # noqa: SLF001 - no public way
    numbers = sorted(metadata.partitions_for_topic(name) or ())
    if not numbers:
        raise LockstepError(f"there is no topic {name}: run `lockstep topics create`.")
    if selection.partition is not None:
        if selection.partition not in numbers:
            raise LockstepError(
                f"there is no partition {selection.partition} of {name}, only 0 to {numbers[-1]}."
            )
        numbers = [selection.partition]
    elif selection.key is not None and not selection.topic.startswith("state-"):
        numbers = [(murmur2(selection.key.encode()) & 0x7FFFFFFF) % len(numbers)]
    return [TopicPartition(name, number) for number in numbers]


async def _newest(
    consumer: AIOKafkaConsumer,
    bounds: dict[TopicPartition, tuple[int, int]],
    selection: Selection,
) -> list[Line]:
    """Return the last records of each partition, looking further back until there are enough."""
    found = []
    for place, (begin, end) in bounds.items():
        width = selection.count
        while True:
            start = max(begin, end - width)
            lines = await _first(consumer, place, start, end, selection, limit=False)
            if len(lines) >= selection.count or start == begin:
                break
            width *= WIDEN
        found += lines[-selection.count :]
    return found


async def _starts(
    consumer: AIOKafkaConsumer,
    bounds: dict[TopicPartition, tuple[int, int]],
    selection: Selection,
) -> dict[TopicPartition, int]:
    if selection.time is None:
        offset = selection.offset or 0
        return {place: max(begin, min(offset, end)) for place, (begin, end) in bounds.items()}
    times = await consumer.offsets_for_times(dict.fromkeys(bounds, selection.time))
    return {
        place: end if times.get(place) is None else times[place].offset
        for place, (_, end) in bounds.items()
    }


async def _first(
    consumer: AIOKafkaConsumer,
    place: TopicPartition,
    start: int,
    end: int,
    selection: Selection,
    *,
    limit: bool = True,
) -> list[Line]:
    """Return what is selected from `start` to `end`, at most as many as wanted if limited."""
    consumer.assign([place])
    consumer.seek(place, start)
    found: list[Line] = []
    # The position, not the last record: compaction leaves holes, also before the end.
    while await consumer.position(place) < end and not (limit and len(found) >= selection.count):
        batches = await consumer.getmany(place, timeout_ms=1000)
        lines = [_line(record) for record in batches.get(place, []) if record.offset < end]
        found += [line for line in lines if selection.key in (None, line.key)]
    return found[: selection.count] if limit else found


def _line(record: ConsumerRecord) -> Line:
    return Line(
        record.partition,
        record.offset,
        record.timestamp,
        readable(record.key),
        readable(record.value),
    )


def _sorted(lines: list[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: (line.time, line.partition, line.offset))
