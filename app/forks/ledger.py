"""A fork's step enters and stands on the topic `forks`, acknowledged; every fork's life leaves."""

from __future__ import annotations

import time
from collections.abc import Callable

from app.core.events import Fork, Message
from app.errors import LockstepError
from app.forks.lives import Life, fold
from app.runtime.codec import DecodeError, decode, encode
from app.runtime.ports import Entry, Log, Place, Stored

TOPIC = "forks"
PLACE = Place(TOPIC, 0)
"""One partition: its order decides who came first."""


def wall_clock() -> int:
    """Return the time, milliseconds since the epoch UTC."""
    return time.time_ns() // 1_000_000


class LedgerError(LockstepError):
    """The records of forks could not be written or read."""


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
            LedgerError: It could not be appended.
        """
        try:
            await self._log.append([Entry(TOPIC, step.fork_id.encode(), encode(Message(step)))])
        except RuntimeError as error:
            raise LedgerError(
                f"it could not be written down that fork {step.fork_id} is {step.step} ({error}): "
                f"once the broker is well, `lockstep fork sweep` brings the fork to its end."
            ) from error

    async def lives(self) -> dict[str, Life]:
        """Return the life of every fork, by its id, in the order in which they were asked for.

        Raises:
            LedgerError: A record there can't be read.
        """
        stored = await self._log.read(PLACE)
        return fold(filter(None, map(_step, stored)))


def _step(stored: Stored) -> Fork | None:
    try:
        record = decode(stored.value).record
    except DecodeError as error:
        raise LedgerError(
            f"{TOPIC}/{stored.partition}/{stored.offset} could not be read ({error}): only "
            f"lockstep may write there; look at it with `lockstep topics read {TOPIC}`."
        ) from error
    return record if isinstance(record, Fork) else None
