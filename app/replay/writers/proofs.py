"""The verdicts of a verification enter; a row of the table `replays` leaves."""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict, replace
from typing import Any

import asyncpg
import orjson

from app.config import Settings
from app.errors import LockstepError
from app.replay.verify.verdict import Difference, Verdict
from app.storage.database import Database
from app.storage.values import instant

ROW = """
INSERT INTO replays
    (replay_id, kind, from_time, to_time, input, configuration, report, started_at, finished_at)
VALUES ($1, 'verify', $2, $3, $4, '[]', $5, now() - make_interval(secs => $6), now())
ON CONFLICT (replay_id) DO UPDATE
SET to_time = excluded.to_time, report = excluded.report, finished_at = excluded.finished_at
"""

SHOWN = 100
"""Characters of a value in a sentence."""


class Proofs:
    """One verification's row, which is brought up to date as it goes on.

    Args:
        settings: Whose run is verified, and where its tables are.
        start: The time it was asked to begin at, milliseconds since the epoch UTC.
    """

    def __init__(self, settings: Settings, start: int | None) -> None:
        self._settings = settings
        self._start = start
        self._identity = uuid.uuid4().hex
        self._begun = time.monotonic()

    async def note(self, verdict: Verdict) -> str | None:
        """Record a verdict; return why that could not be done, as a sentence.

        No row tells of a verdict that is neither: some could not be compared, and none differs. Nor
        is there any where no database is configured.
        """
        if self._settings.database.password is None:
            return None
        if verdict.unproven and not verdict.different:
            return None
        # A proof waits for nobody: the next one is recorded again.
        where = replace(self._settings.database.storage(), pool_min=0, retry_for=0.0)
        try:
            async with Database(where) as database:
                await database.execute(ROW, *self._values(verdict))
        except asyncpg.UndefinedTableError:
            return "the database has no tables for this run yet; `lockstep migrate` makes them."
        except (LockstepError, asyncpg.PostgresError) as error:
            return f"{error}"
        return None

    def _values(self, verdict: Verdict) -> tuple[Any, ...]:
        return (
            self._identity,
            None if self._start is None else instant(self._start),
            None if not verdict.through else instant(verdict.through),
            orjson.dumps({"source": "topics", "prefix": self._settings.kafka.prefix}).decode(),
            orjson.dumps(report(verdict)).decode(),
            time.monotonic() - self._begun,
        )


def report(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as the table holds it: how many records, how many differ, and the first."""
    told = {"counts", "digests", "repeats", "pending", "gone", "since", "truncated"}
    return {
        "records": sum(verdict.counts.values()),
        "differences": verdict.different,
        "first": first(verdict.differences[0]) if verdict.differences else None,
        **{name: value for name, value in asdict(verdict).items() if name in told},
    }


def first(found: Difference) -> dict[str, Any]:
    """Return a difference with its place in parts (none where it is missing) and as a sentence."""
    topic, partition, offset = found.place.rsplit("/", 2) if found.place else (None, None, None)
    what = f"{found.field} of {found.name}" if found.field else found.name
    return asdict(found) | {
        "topic": topic,
        "partition": None if partition is None else int(partition),
        "offset": None if offset is None else int(offset),
        "says": f"{what} was recorded as {_short(found.recorded)} and replayed as "
        f"{_short(found.replayed)}",
    }


def _short(value: str) -> str:
    return value[:SHOWN] + "…" if len(value) > SHOWN else value or "nothing"
