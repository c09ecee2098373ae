"""The sink as an intake: every topic enters, and the database says where to resume."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from app.core.events import Inbound, Message
from app.runtime.admission import admit_for
from app.runtime.ports import Log, Place, Stored
from app.runtime.stage import LostInputError
from app.storage.database import Database
from app.storage.sink import Sink, Skipped
from app.storage.store import PostgresStore

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

MOST_RECORDS = 500
"""Records in one transaction; of trades each may hold hundreds of rows."""


class SinkIntake:
    """Feeds the sink; what is committed to the group only informs whoever looks at lag."""

    def __init__(self, database: Database, log: Log, report: Callable[[str], None]) -> None:
        self._sink = Sink(PostgresStore(database), report)
        self._log = log
        self._stored: dict[Place, int] = {}

    async def assign(self, places: Mapping[Place, int | None]) -> dict[Place, int]:
        """Return the first offset of each partition that the database does not hold.

        A partition that it holds nothing of begins where the log begins. A database restored from
        an older backup heals itself: what it lacks is read again.

        Raises:
            LostInputError: A topic was made anew; its records would be taken for stored ones.
        """
        held = await self._sink.positions()
        for place in places:
            first, end = await self._log.bounds(place)
            if place not in held:
                await self._sink.start((place.topic, place.partition), first)
                held[place] = first
            elif held[place] > end:
                raise LostInputError(
                    f"the database holds {place.topic}/{place.partition} up to {held[place]}, but "
                    f"it ends at {end}: the topic was made anew. Choose a new database.schema and "
                    f"run `lockstep migrate`."
                )
        self._stored = {place: held[place] for place in places}
        return dict(self._stored)

    def revoke(self) -> None:
        """Forget every partition; the rows' offsets are in the database."""
        self._stored = {}

    async def take(self, batches: Mapping[Place, Sequence[Stored]]) -> None:
        """Store what was read; waits for a database that is down."""
        stored = self._stored
        batch = [
            _item(entry)
            for place, entries in batches.items()
            for entry in entries
            if entry.offset >= stored.get(place, entry.offset + 1)
        ]
        # In parts: a backlog in one transaction could outlast the statement timeout.
        for start in range(0, len(batch), MOST_RECORDS):
            part = batch[start : start + MOST_RECORDS]
            await self._sink.write(part)
            for item in part:
                stored[Place(item.topic, item.partition)] = item.offset + 1

    def committable(self) -> dict[Place, int]:
        """Return the first offset of each partition that is not stored."""
        return dict(self._stored)

    async def checkpoint(self) -> None:
        """Do nothing: the progress stands in the database."""

    async def close(self) -> None:
        """Do nothing: the sink acts only when it is fed."""


def _item(stored: Stored) -> Inbound | Skipped:
    """Return the record to store; foreign bytes that are none have their dead letter already."""
    admitted = admit_for(stored, "sink")
    if isinstance(admitted, Message):
        return Inbound(admitted, stored.topic, stored.partition, stored.offset)
    return Skipped(stored.topic, stored.partition, stored.offset)
