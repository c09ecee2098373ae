"""A run and a time enter; what `verify --from` leaves out of it leaves, counted and hashed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from app.core.events import Identity
from app.core.flow import Stage
from app.replay.sources.topics import Recording
from app.replay.verify.lines import hash_of
from app.replay.verify.starting import starts
from app.runtime.codec import identity_of
from app.runtime.ports import Place

MODULUS = 1 << 128


@dataclass(slots=True)
class Part:
    """Some of a run's derived records, each once.

    Attributes:
        counts: By topic.
        sums: Their hashes' sum, by topic.
    """

    counts: Counter[str] = field(default_factory=Counter)
    sums: Counter[str] = field(default_factory=Counter)

    def add(self, topic: str, raw: bytes) -> None:
        self.counts[topic] += 1
        self.sums[topic] = (self.sums[topic] + hash_of(raw)) % MODULUS

    def __add__(self, other: Part) -> Part:
        sums = {topic: (self.sums[topic] + other.sums[topic]) % MODULUS
                for topic in self.sums | other.sums}  # fmt: skip
        return Part(self.counts + other.counts, Counter(sums))


async def before(recording: Recording, stages: tuple[Stage, ...], time: int) -> Part:
    """Return what was sent by the snapshots from which a verification at a time starts.

    The numbers alone are theirs; the records are read and hashed here.
    """
    part = Part()
    for topic in dict.fromkeys(topic for stage in stages for topic in stage.outputs):
        writers = [stage for stage in stages if topic in stage.outputs]
        sent = {
            (stage.name, source, destination): number
            for stage in writers
            for source, numbers in (await _sent(recording, stage, time)).items()
            for destination, number in numbers.items()
        }
        for number in range(await recording.partitions(topic)):
            await _read(recording, Place(topic, number), sent, part)
    return part


async def _sent(recording: Recording, stage: Stage, time: int) -> dict[str, dict[str, int]]:
    places = [
        Place(topic, number)
        for topic in stage.inputs
        for number in range(await recording.partitions(topic))
    ]
    bounds = {place: await recording.bounds(place) for place in places}
    found = (await starts(recording, stage, bounds, time)).sent()
    return {key: dict(numbers) for key, numbers in found.items()}


async def _read(
    recording: Recording, place: Place, sent: dict[tuple[str, str, str], int], part: Part
) -> None:
    """Add what stands in a partition up to the numbers sent: of a repeat the first."""
    last: Counter[tuple[str, str, str]] = Counter()
    async for chunk in recording.chunks(place, *await recording.bounds(place)):
        for stored in chunk:
            identity: Identity | None = identity_of(stored.value)
            if identity is None:
                continue
            line = (identity.stage, identity.source, identity.destination)
            if last[line] < identity.number <= sent.get(line, 0):
                last[line] = identity.number
                part.add(place.topic, stored.value or b"")
