"""A run as workers record it: stage runtimes over topics in memory, in whatever order is drawn."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence

from app.core.events import Message
from app.pipeline import STAGES
from app.runtime.codec import decode, encode
from app.runtime.ports import Entry, Place, Stored
from app.runtime.stage import StageRuntime
from tests.replay.market import INSTRUMENTS, Market
from tests.replay.test_ring import COMMANDS, TOPICS

PARTITIONS = 2


class MemoryTopics:
    """A log that is a dictionary of lists; `gone` is what retention has taken, by partition."""

    def __init__(self) -> None:
        self.stored: dict[Place, list[Stored]] = {}
        self.gone: dict[Place, int] = {}

    async def append(self, entries: Sequence[Entry]) -> list[int]:
        return [self.put(entry) for entry in entries]

    def put(self, entry: Entry) -> int:
        number = entry.partition
        if number is None:
            number = self.partition_for(entry.key, PARTITIONS)
        place = Place(entry.topic, number)
        partition = self.stored.setdefault(place, [])
        partition.append(Stored(*place, len(partition), entry.key, entry.value))
        return len(partition) - 1

    async def read(self, place: Place, start: int | None = None) -> list[Stored]:
        return self.stored.get(place, [])[max(start or 0, self.gone.get(place, 0)) :]

    async def bounds(self, place: Place) -> tuple[int, int]:
        return self.gone.get(place, 0), len(self.stored.get(place, []))

    async def partitions(self, topic: str) -> int:
        assert topic
        return PARTITIONS

    def partition_for(self, key: bytes, partitions: int) -> int:
        return sum(key) % partitions

    async def chunks(self, place: Place, start: int, stop: int) -> AsyncIterator[list[Stored]]:
        for begin in range(start, stop, 7):
            assert begin >= self.gone.get(place, 0)
            yield self.stored[place][begin : min(begin + 7, stop)]

    def derived(self) -> dict[str, bytes]:
        """Return every record that a stage made, by name."""
        messages = (
            decode(stored.value)
            for place, partition in self.stored.items()
            if place.topic in TOPICS
            for stored in partition
        )
        return {each.name: encode(each) for each in messages if each.identity is not None}


async def recorded(source: Market, draw: random.Random, lead: int = 3) -> MemoryTopics:
    """Let workers run a market to its end; one is ahead of another by as much as is drawn."""
    log = MemoryTopics()
    workers = []
    for stage in STAGES:
        worker = StageRuntime(stage, log, "main", "one")
        places = {Place(topic, n): None for topic in stage.inputs for n in range(PARTITIONS)}
        positions = dict(await worker.assign(places))
        workers.append((worker, positions))
    for number in range(source.intervals):
        for name in INSTRUMENTS:
            for record in source.packed[name][number]:
                log.put(Entry("trades", name.encode(), encode(Message(record))))
        if number - 1 in COMMANDS:
            command = COMMANDS[number - 1]
            log.put(Entry("signals", command.account.encode(), encode(Message(command))))
        for _ in range(draw.randrange(lead * 40)):
            await turn(log, *draw.choice(workers), draw)
    while any([await turn(log, *worker, draw) for worker in workers]):
        pass
    return log


async def turn(
    log: MemoryTopics, worker: StageRuntime, positions: dict[Place, int], draw: random.Random
) -> bool:
    """Let a worker take some of what it has not read yet; return whether there was anything."""
    unread = [place for place in positions if (await log.bounds(place))[1] > positions[place]]
    if not unread:
        return False
    place = draw.choice(unread)
    batch = (await log.read(place, positions[place]))[: 1 + draw.randrange(8)]
    await worker.take({place: batch})
    positions[place] = batch[-1].offset + 1
    return True
