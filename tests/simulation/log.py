"""A simulated log: entries enter and stand in topics; every effect has a point before and after."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Protocol

from app.runtime.ports import Entry, Place, Stored


class Point:
    """An awaitable that hands itself to whoever drives the coroutine.

    Attributes:
        name: What has just happened, or is just about to.
        ready: Whether the coroutine may go on: false where it waits for another.
    """

    def __init__(self, name: str, ready: Callable[[], bool] | None = None) -> None:
        self.name = name
        self.ready = ready

    def __await__(self) -> Generator[Point, None, None]:
        yield self


class Chance(Protocol):
    """Draws whole numbers."""

    def randrange(self, bound: int, /) -> int:
        """Return a number from 0 to one less than `bound`."""


class NoSuchPartitionError(Exception):
    """A record was for a partition that the topic does not have."""


class SimulatedLog:
    """Topics in memory; appends may land in part, reads return what stands.

    Attributes:
        counts: The partitions of every topic.
        records: What stands, by offset.
        everything: What ever stood; nobody but the oracle may look.
        starts, ends: The first offset that retention has left, and the next one.
    """

    def __init__(self, counts: Mapping[str, int], chance: Chance) -> None:
        self.counts = dict(counts)
        self.records: dict[Place, dict[int, tuple[bytes, bytes]]] = {}
        self.everything: dict[Place, dict[int, tuple[bytes, bytes]]] = {}
        self.starts: dict[Place, int] = {}
        self.ends: dict[Place, int] = {}
        self.chance = chance

    def put(self, entry: Entry) -> int:
        """Append one record without any point; return its offset."""
        place = self.place(entry)
        offset = self.ends.get(place, 0)
        record = (entry.key, entry.value)
        self.records.setdefault(place, {})[offset] = record
        self.everything.setdefault(place, {})[offset] = record
        self.ends[place] = offset + 1
        return offset

    def place(self, entry: Entry) -> Place:
        """Return where an entry belongs."""
        count = self.counts.get(entry.topic, 1)
        number = entry.partition
        if number is None:
            number = self.partition_for(entry.key, count)
        if number >= count:
            raise NoSuchPartitionError(f"{entry.topic}/{number}")
        return Place(entry.topic, number)

    def places(self, topic: str) -> list[Place]:
        """Return every partition of a topic."""
        return [Place(topic, number) for number in range(self.counts.get(topic, 1))]

    def stored(self, place: Place, start: int = 0, limit: int | None = None) -> list[Stored]:
        """Return what stands from `start` on."""
        return self._among(self.records.get(place, {}), place, start, limit)

    def ever(self, place: Place, start: int = 0, limit: int | None = None) -> list[Stored]:
        """Return what stands, or ever stood, from `start` on."""
        return self._among(self.everything.get(place, {}), place, start, limit)

    def _among(
        self,
        records: Mapping[int, tuple[bytes, bytes]],
        place: Place,
        start: int,
        limit: int | None,
    ) -> list[Stored]:
        end = self.ends.get(place, 0)
        if limit is not None:
            end = min(end, start + limit)
        return [
            Stored(place.topic, place.partition, offset, *records[offset])
            for offset in range(start, end)
            if offset in records
        ]

    def compact(self, place: Place, below: int | None = None) -> None:
        """Keep the last record of each key, as a broker may at any time; the head is left alone.

        Args:
            place: Where.
            below: Where the head begins; none where all may be compacted.
        """
        records = self.records.get(place, {})
        tail = {o: r for o, r in records.items() if below is None or o < below}
        last = {key: offset for offset, (key, _) in tail.items()}
        gone = {offset for offset, (key, _) in tail.items() if last[key] != offset}
        self.records[place] = {o: r for o, r in records.items() if o not in gone}

    def truncate(self, place: Place, first: int) -> None:
        """Drop what stands before `first`, as retention does."""
        self.starts[place] = first
        records = self.records.get(place, {})
        self.records[place] = {o: r for o, r in records.items() if o >= first}

    def make_anew(self, place: Place) -> None:
        """Delete a partition and create it again, empty."""
        for kept in (self.records, self.everything, self.starts, self.ends):
            kept.pop(place, None)

    async def append(self, entries: Sequence[Entry]) -> list[int]:
        if not entries:
            return []
        what = f"append {_kind(entries)}"
        await Point(f"{what}: sent, not applied")
        # What a crash leaves is a prefix of each partition, and nothing orders the partitions.
        early = self._early(entries)
        offsets = {id(entry): self.put(entry) for entry in early}
        await Point(f"{what}: applied in part")
        offsets |= {id(entry): self.put(entry) for entry in entries if id(entry) not in offsets}
        await Point(f"{what}: applied, not acknowledged")
        return [offsets[id(entry)] for entry in entries]

    def _early(self, entries: Sequence[Entry]) -> list[Entry]:
        by_place: dict[Place, list[Entry]] = {}
        for entry in entries:
            by_place.setdefault(self.place(entry), []).append(entry)
        groups = list(by_place.values())
        first = self.chance.randrange(len(groups))
        turned = [entry for group in (*groups[first:], *groups[:first]) for entry in group]
        return turned[: self.chance.randrange(len(entries) + 1)]

    async def read(self, place: Place, start: int | None = None) -> list[Stored]:
        await Point("read")
        return self.stored(place, start or 0)

    async def bounds(self, place: Place) -> tuple[int, int]:
        return self.starts.get(place, 0), self.ends.get(place, 0)

    async def partitions(self, topic: str) -> int:
        return self.counts[topic]

    def partition_for(self, key: bytes, partitions: int) -> int:
        return sum(key) % partitions


def _kind(entries: Sequence[Entry]) -> str:
    if not entries[0].topic.startswith("state-"):
        return "outputs"
    return {b"!claim": "claim", b"!progress": "progress"}.get(entries[0].key, "states")
