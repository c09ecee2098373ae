"""A fork's step enters and stands on the topic `forks`, acknowledged; every fork's life leaves."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.core.events import Fork, Message
from app.forks.lives import Life, fold
from app.runtime.codec import decode, encode
from app.runtime.ports import Entry, Log, Place

TOPIC = "forks"
PLACE = Place(TOPIC, 0)
"""One partition: its order decides who came first."""


def wall_clock() -> int:
    """Return the time, milliseconds since the epoch UTC."""
    return time.time_ns() // 1_000_000


class Ledger:
    """The records on `forks`.

    Attributes:
        now: The clock that steps are dated by, milliseconds since the epoch UTC.
    """

    def __init__(self, log: Log, now: Callable[[], int] = wall_clock) -> None:
        self._log = log
        self.now = now

    async def write(self, step: Fork) -> None:
        """Append a step; on return no crash can lose it.

        Raises:
            AppendError: It could not be appended.
        """
        await self._log.append([Entry(TOPIC, step.fork_id.encode(), encode(Message(step)))])

    async def lives(self) -> dict[str, Life]:
        """Return the life of every fork, by its id, in the order in which they were asked for."""
        stored = await self._log.read(PLACE)
        records = (decode(item.value).record for item in stored)
        return fold(record for record in records if isinstance(record, Fork))
