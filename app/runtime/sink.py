"""The sink as an intake: every topic enters, and the database says where to resume."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog

from app.core.events import Inbound, Message
from app.runtime.admission import admit_for, dead_letter
from app.runtime.ports import Log, Place, Stored
from app.runtime.recent import Recent
from app.runtime.stage import LostInputError
from app.storage.database import Database
from app.storage.sink import HoleError, Sink, Skipped
from app.storage.store import PostgresStore

log = structlog.get_logger()

NAME = "sink"

SINK_TOPICS = (
    "trades",
    "candles",
    "signals",
    "portfolio",
    "allocations",
    "orders",
    "risk",
    "fills",
    "forks",
    "snapshots",
    "dead-letters",
)

MOST_RECORDS = 5_000
MOST_BYTES = 4 * 1024 * 1024
"""Of one transaction: as many records as their rows are few; a trade has at least 40 bytes."""

IDLE_CHECKPOINTS = 10
"""Checkpoints, of about a second each, without a transaction before the database is looked at."""


class OlderDatabaseError(HoleError):
    """The database holds less than was stored: an older copy has taken its place."""

    def __init__(self, place: Place, held: int, stored: int) -> None:
        super().__init__(place, held, stored)
        sentence = (
            f"the database holds {place.topic}/{place.partition} up to {held}, but was filled up "
            f"to {stored}: an older copy has taken its place. Start the worker again: the sink "
            f"reads on from there, and the tables heal."
        )
        self.args = (sentence,)


class SinkIntake:
    """Feeds the sink; what is committed to the group only informs whoever looks at lag.

    Args:
        database: The tables.
        log: The topics.
        report: Told in a sentence what the sink waits for, and "" when it no longer does.
        accepts_loss: Whether to go on, at the first start only, where the log has lost what the
            database lacks.
        recent: What this process's other readers have admitted.
    """

    def __init__(
        self,
        database: Database,
        log: Log,
        report: Callable[[str], None],
        accepts_loss: Callable[[], bool] = lambda: False,
        recent: Recent | None = None,
    ) -> None:
        self._recent = recent
        self._sink = Sink(PostgresStore(database), report)
        self._log = log
        self._accepts_loss = accepts_loss
        self._stored: dict[Place, int] = {}
        self._idle = 0

    async def assign(self, places: Mapping[Place, int | None]) -> dict[Place, int]:
        """Return the first offset of each partition that the database does not hold.

        A partition that it holds nothing of begins where the log begins. A database restored from
        an older backup heals itself: what it lacks is read again.

        Raises:
            LostInputError: Retention took what the database lacks, or a topic was made anew; its
                records would be taken for stored ones.
        """
        held = await self._sink.positions()
        for place in places:
            first, end = await self._log.bounds(place)
            if place not in held:
                await self._sink.start(place, first)
                held[place] = first
            elif held[place] > end:
                raise LostInputError(
                    f"the database holds {place.topic}/{place.partition} up to {held[place]}, but "
                    f"it ends at {end}: the topic was made anew. Choose a new database.schema and "
                    f"run `lockstep migrate`."
                )
            elif held[place] < first:
                held[place] = await self._pass_over(place, held[place], first)
        self._accepts_loss = _refuses  # what is lost from here on is another loss
        self._stored = {place: held[place] for place in places}
        return dict(self._stored)

    async def _pass_over(self, place: Place, held: int, first: int) -> int:
        """Let a dead letter stand for what the tables will never hold; return where to go on.

        Raises:
            LostInputError: The loss was not accepted.
        """
        lost = (
            f"retention took the {first - held} records from {held} to {first - 1} of "
            f"{place.topic}/{place.partition} before the database stored them"
        )
        if not self._accepts_loss():
            raise LostInputError(
                f"the tables lack what they can't be given any more: {lost}. Restore a newer copy "
                f"of the database, or start a worker with --accept-loss: it records the loss as "
                f"a dead letter and goes on."
            )
        # The record first: a crash before the offset moves leaves a repeat, not a silence.
        await self._log.append([dead_letter(Stored(*place, held, b"", b""), NAME, lost)])
        await self._sink.start(place, first, held)
        log.warning("loss accepted", stage=NAME, reason=lost)
        return first

    def revoke(self) -> None:
        """Forget every partition; the rows' offsets are in the database."""
        self._stored = {}

    async def take(self, batches: Mapping[Place, Sequence[Stored]]) -> None:
        """Store what was read; waits for a database that is down."""
        stored = self._stored
        batch = [
            entry
            for place, entries in batches.items()
            for entry in entries
            if entry.offset >= stored.get(place, entry.offset + 1)
        ]
        for part in parts(batch):
            await self._sink.write([self._item(entry) for entry in part])
            self._idle = 0
            for entry in part:
                stored[Place(entry.topic, entry.partition)] = entry.offset + 1

    def _item(self, stored: Stored) -> Inbound | Skipped:
        """Return the record to store; bytes that are none have their dead letter already."""
        admitted = admit_for(stored, NAME, self._recent)
        if isinstance(admitted, Message):
            return Inbound(admitted, stored.topic, stored.partition, stored.offset)
        return Skipped(stored.topic, stored.partition, stored.offset)

    def committable(self) -> dict[Place, int]:
        """Return the first offset of each partition that is not stored."""
        return dict(self._stored)

    async def checkpoint(self) -> None:
        """Look, where nothing was stored for a while, whether the database still is what it was.

        A database that is down is left in peace.

        Raises:
            OlderDatabaseError: It holds less than was stored.
        """
        self._idle += 1
        if self._idle < IDLE_CHECKPOINTS:
            return
        self._idle = 0
        stored = dict(self._stored)
        held = await self._sink.glance() if stored else None
        if held is None:
            return
        for place, offset in stored.items():
            if held.get(place, 0) < offset:
                raise OlderDatabaseError(place, held.get(place, 0), offset)

    def full(self) -> frozenset[Place]:
        """Return nothing: whatever is read is done with."""
        return frozenset()

    async def close(self) -> None:
        """Do nothing: the sink acts only when it is fed."""


def parts(batch: Sequence[Stored]) -> Iterator[list[Stored]]:
    """Yield a batch in parts: a backlog in one transaction could outlast the statement timeout."""
    part: list[Stored] = []
    size = 0
    for entry in batch:
        part.append(entry)
        size += len(entry.value or b"")
        if len(part) == MOST_RECORDS or size >= MOST_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _refuses() -> bool:
    return False
