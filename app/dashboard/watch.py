"""An installation enters, asked again and again; how it is now, as one document, leaves."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import orjson
import structlog

from app.dashboard.live.sight import Live
from app.errors import LockstepError
from app.market.state import OpenGap
from app.pipeline import EDGES
from app.runtime.status import INPUTS, StageStatus, Status, status
from app.runtime.topics import Cluster
from app.storage.database import DatabaseSettings

log = structlog.get_logger()

WATCHED_SECONDS = 2.0
UNWATCHED_SECONDS = 15.0
PATIENCE = 30.0  # this process stands behind all others for a processor
RATE_SECONDS = 10.0
TWO = 2  # answers make a difference
MARKET, SINK = EDGES


class Watch:
    """Asks how an installation is: often while somebody looks, now and then otherwise.

    Attributes:
        found: What was last told; None while the broker is away.
        problem: Why nothing is told, a sentence; None when something is.
        asked_at: When that was, milliseconds since the epoch UTC.
        version: Counts the answers.
    """

    def __init__(self, cluster: Cluster, database: DatabaseSettings, live: Live) -> None:
        self._cluster, self._database, self._live = cluster, database, live
        self._wanted = asyncio.Event()
        self._answered = asyncio.Event()
        self._ends: deque[tuple[float, dict[str, int]]] = deque()
        self.found: Status | None = None
        self.problem: str | None = "nobody has been asked yet"
        self.asked_at = 0
        self.version = 0
        self.encoded = b"{}"

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            await self._ask()
            self._wanted.clear()
            pause = WATCHED_SECONDS if self.viewers else UNWATCHED_SECONDS
            try:
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
                    await asyncio.sleep(WATCHED_SECONDS)
            except TimeoutError:
                continue

    async def first(self) -> None:
        """Wait for the first answer; there is one, good or bad, within its patience."""
        await self._answered.wait()

    def look(self) -> None:
        """Say that somebody looks, so that the next answer is not far."""
        self._wanted.set()

    @property
    def viewers(self) -> int:
        """How many streams are open."""
        return len(self._live.bus.statistics().subscriptions)

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                self.found, self.problem = await status(self._cluster, self._database), None
        except TimeoutError:
            self.found, self.problem = None, f"the broker did not answer within {PATIENCE:.0f} s."
        except LockstepError as error:
            self.found, self.problem = None, str(error)
        self.asked_at = _now()
        if self.found is not None:
            self._note(self.found)
        self.version += 1
        self._answered.set()
        self.encoded = orjson.dumps(self.document())
        self._live.pulse.stir()

    def _note(self, found: Status) -> None:
        """Keep how many records each topic had, for the rates."""
        ends: dict[str, int] = {}
        for place, (_, end) in found.spans.items():
            ends[place.topic] = ends.get(place.topic, 0) + end
        self._ends.append((time.monotonic(), ends))
        while len(self._ends) > TWO and self._ends[-1][0] - self._ends[1][0] >= RATE_SECONDS:
            self._ends.popleft()

    def rate(self, topic: str) -> float | None:
        """Return how many records a second came to a topic lately; None where not known yet."""
        if len(self._ends) < TWO:
            return None
        (then, before), (now, after) = self._ends[0], self._ends[-1]
        return round((after.get(topic, 0) - before.get(topic, 0)) / (now - then), 3)

    def last_of_topic(self, topic: str) -> int | None:
        """Return when a followed topic's newest record was appended, milliseconds."""
        return self._live.follower.last_of_topic.get(topic)

    def document(self) -> dict[str, Any]:
        """Return how everything is, as the API gives it."""
        now = _now()
        found = self.found
        return {
            "now": now,
            "asked_at": self.asked_at,
            "stages": [self._stage(name, now) for name in INPUTS],
            "feeds": self._feeds(now),
            "sink": {"lag": self._lag(SINK), "through": self._through(SINK)},
            "dead_letters": None if found is None else found.dead_letters,
            "health": self.health(),
            "viewers": self.viewers,
        }

    def health(self) -> dict[str, Any]:
        """Return whether broker and database can be used."""
        problem = self.problem or self._live.follower.problem
        return {
            "broker": {"well": problem is None, "problem": problem},
            "database": self._database_health(),
        }

    def _database_health(self) -> dict[str, Any]:
        if self.found is None:
            return {"well": None, "problem": None, "edition": None, "milliseconds": None}
        held = self.found.database
        return {
            "well": not held.problem,
            "problem": held.problem or None,
            "edition": held.health and held.health.edition,
            "milliseconds": held.health and round(held.health.milliseconds, 3),
        }

    def stage(self, name: str) -> StageStatus | None:
        """Return what was last told of a stage."""
        stages = self.found.stages if self.found else ()
        return next((stage for stage in stages if stage.stage == name), None)

    def behind(self, name: str) -> int | None:
        """Return how far a stage is behind the newest trade, milliseconds of event time."""
        through = self._through(name)
        newest = max((price.time for price in self._live.prices.of.values()), default=0)
        return max(newest - through, 0) if through and newest else None

    def _lag(self, name: str) -> int | None:
        stage = self.stage(name)
        return None if stage is None else stage.lag

    def _through(self, name: str) -> int | None:
        stage = self.stage(name)
        return stage.time or None if stage else None

    def _stage(self, name: str, now: int) -> dict[str, Any]:
        stage, last = self.stage(name), self._live.follower.last_of_stage.get(name)
        return {
            "stage": name,
            "state": _state(stage),
            "workers": len(stage.workers) if stage else None,
            "lag": self._lag(name),
            "through": self._through(name),
            "behind": self.behind(name),
            "waiting": stage.waiting if stage else {},
            "last_at": last,
            "age": None if last is None else max(now - last, 0),
        }

    def _feeds(self, now: int) -> list[dict[str, Any]]:
        gaps: Mapping[str, tuple[OpenGap, ...]] = self.found.gaps if self.found else {}
        feeds = []
        for name in sorted({*self._live.prices.of, *gaps}):
            price = self._live.prices.of.get(name)
            document = price.document() if price else {"price": None, "time": None, "at": None}
            feeds.append(
                {
                    "instrument": name,
                    **{field: document[field] for field in ("price", "time", "at")},
                    "age": max(now - price.at, 0) if price and price.at else None,
                    "gap": _gap(gaps.get(name, ())),
                }
            )
        return feeds


def _now() -> int:
    return round(time.time() * 1000)


def _state(stage: StageStatus | None) -> str:
    if stage is None:
        return "unknown"
    if not stage.workers:
        return "stopped"
    return "waiting" if stage.waiting else "running"


def _gap(gaps: tuple[OpenGap, ...]) -> dict[str, Any] | None:
    if not gaps:
        return None
    first = gaps[0]
    return {
        "first_id": first.first_id,
        "last_id": first.last_id,
        "from": first.from_time,
        "to": first.to_time,
        "reason": first.reason,
    }
