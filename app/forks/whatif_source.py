"""Where a run is recorded enters; cuts of it, what entered it and what explains it leave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from app.config_sections import Kafka
from app.core.events import Portfolio
from app.pipeline import STAGES
from app.replay.cut import Cut
from app.replay.explain.archive import Archive
from app.replay.explain.from_topics import TopicArchive
from app.replay.sources import snapshots, topics
from app.replay.sources.entering import Chunks
from app.replay.sources.topics import Recording
from app.runtime.codec import decode
from app.runtime.ports import Place

PORTFOLIO = "portfolio"
NEWEST = 100
"""Records at the end of a partition among which the newest decision is looked for."""


class Recorded(Protocol):
    """A recorded run that can be read; it is never written to."""

    async def nearest(self, time: int) -> Cut | None:
        """Return the newest cut from which all that is made from a time on is made anew.

        None where there is none: then a replay begins at the beginning. The time is in
        milliseconds since the epoch UTC.
        """

    async def reached(self) -> int | None:
        """Return the newest decision time of any account, milliseconds since the epoch UTC."""

    def entering(self, start: Cut | None, moments: Sequence[int]) -> Chunks:
        """Yield what entered the run, from its beginning or a cut on, split at some moments."""

    def archive(self) -> Archive:
        """Return what explains its records."""


class Source(Protocol):
    """Where a recorded run is; can be handed to another process."""

    def open(self) -> AbstractAsyncContextManager[Recorded]:
        """Open it for reading."""


class RecordedTopics:
    """A run as its topics have it."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    async def nearest(self, time: int) -> Cut | None:
        """Return the cut of the newest snapshots that lie before a time; see `Recorded`."""
        return await snapshots.nearest(self._recording, STAGES, time)

    async def reached(self) -> int | None:
        """Return the newest decision time of any account; see `Recorded`."""
        newest: list[int] = []
        for number in range(await self._recording.partitions(PORTFOLIO)):
            place = Place(PORTFOLIO, number)
            first, end = await self._recording.bounds(place)
            async for chunk in self._recording.chunks(place, max(first, end - NEWEST), end):
                records = (decode(stored.value).record for stored in chunk)
                newest += [each.time for each in records if isinstance(each, Portfolio)]
        return max(newest, default=None)

    def entering(self, start: Cut | None, moments: Sequence[int]) -> Chunks:
        """Yield what entered the run; see `Recorded`."""
        return topics.entering(self._recording, start, moments)

    def archive(self) -> Archive:
        """Return what explains its records."""
        return TopicArchive(self._recording)


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of a run on a broker."""

    kafka: Kafka

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Recorded]:
        """Connect; raises UnreachableError."""
        from app.replay.sources.kafka import KafkaRecording  # noqa: PLC0415 - a Kafka client

        async with KafkaRecording(self.kafka) as recording:
            yield RecordedTopics(recording)
