"""What is followed and watched enters; whoever should know is told, and told again if need be."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterator

import aiohttp
import structlog

from app.config import Settings
from app.dashboard.alerts.notices import Happenings, Notice, Standing
from app.dashboard.alerts.rate import Rate
from app.dashboard.alerts.receivers import Receiver, receivers
from app.dashboard.errors import AnswerError
from app.dashboard.history import runs
from app.dashboard.history.store import Store
from app.dashboard.live.placed import Placed
from app.dashboard.live.sight import Live
from app.dashboard.watch import Watch
from app.errors import UnreachableError

log = structlog.get_logger()

LOOK_SECONDS = 1.0
PROOF_SECONDS = 30.0
TRIES = 4
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
OLD_MS = 600_000
"""What happened longer ago than this when it is first seen is history, and no alert."""

MOST_WAITING = 100


class Alarm:
    """Tells people.

    Attributes:
        counts: Notices by what became of them: sent, failed, held_back.

    Args:
        settings: Of the installation.
        live: What is followed.
        watch: How everything is.
        store: The tables.
    """

    def __init__(self, settings: Settings, live: Live, watch: Watch, store: Store) -> None:
        alerts = settings.alerts
        self._live, self._watch, self._store = live, watch, store
        self._stale = alerts.stale_after
        self._run = f"{settings.kafka.prefix}{settings.worker.run}"
        accounts = settings.accounts()
        self._instruments = {name for account in accounts for name in account.instruments}
        self._receivers: list[Receiver] = receivers(alerts)
        self._happenings = Happenings(accounts)
        down = alerts.down_after
        self._standing = Standing({"worker_down": down, "broker_down": down, "database_down": down})
        self._rate = Rate(alerts.hourly, alerts.quiet)
        self._waiting: deque[Notice] = deque(maxlen=MOST_WAITING)
        self._begun = time.monotonic()
        self._proof: dict[tuple[str, str], str] = {}
        self._proof_at = -PROOF_SECONDS
        self.counts = Counter(sent=0, failed=0, held_back=0)
        if self._receivers:
            live.follower.takers.append(self._take)

    async def run(self) -> None:
        """Look and tell, for ever; or end at once where nobody is to be told."""
        if not self._receivers:
            return
        log.info("alerts are sent", to=[receiver.name for receiver in self._receivers])
        async with aiohttp.ClientSession() as session:
            while True:
                await self._look()
                while self._waiting:
                    notice = self._waiting.popleft()
                    await asyncio.gather(
                        *(self._tell(session, each, notice) for each in self._receivers)
                    )
                await asyncio.sleep(LOOK_SECONDS)

    def _take(self, message: Placed) -> None:
        if time.time() * 1000 - message.at <= OLD_MS:
            for notice in self._happenings.of(message):
                self._put(notice)

    def _put(self, notice: Notice) -> None:
        if self._rate.admit(notice, time.monotonic()):
            self._waiting.append(notice)
        else:
            self.counts["held_back"] += 1

    async def _look(self) -> None:
        now = time.monotonic()
        if now - self._proof_at >= PROOF_SECONDS:
            self._proof, self._proof_at = await self._proved(), now
        held = dict(self._held(now)) | self._proof
        for notice in self._standing.update(now, held):
            self._put(notice)
        if summary := self._rate.summary(now):
            self._waiting.append(summary)

    def _held(self, now: float) -> Iterator[tuple[tuple[str, str], str]]:
        """Give what is not as it should be at this moment."""
        health = self._watch.health()
        if not health["broker"]["well"] and now - self._begun > self._stale:
            yield ("broker_down", "Kafka"), f"The broker is away: {health['broker']['problem']}"
        if health["database"]["well"] is False:
            sentence = f"The database is away, trading goes on: {health['database']['problem']}"
            yield ("database_down", "TimescaleDB"), sentence
        stopped = self._stopped()
        if stopped:
            names = ", ".join(stopped)
            yield ("worker_down", "worker"), f"Nobody runs {names}: start `lockstep worker`."
        if health["broker"]["well"]:
            yield from self._silent(now)

    def _stopped(self) -> list[str]:
        found = self._watch.found
        return [stage.stage for stage in found.stages if not stage.workers] if found else []

    def _silent(self, now: float) -> Iterator[tuple[tuple[str, str], str]]:
        """Give the instruments whose trades are too old."""
        for name in self._instruments:
            price = self._live.prices.of.get(name)
            last = time.time() - price.at / 1000 if price and price.at else now - self._begun
            if min(last, now - self._begun) > self._stale:
                sentence = f"No trade of {name} came for {self._stale:g} s: `lockstep status`."
                yield ("feed_stale", name), sentence

    async def _proved(self) -> dict[tuple[str, str], str]:
        """Return the sentence of a verification that found a difference."""
        try:
            async with self._store.view() as view:
                proof = await runs.proof(view)
        except AnswerError:
            return self._proof  # as it was: nobody knows better now
        if proof is None or proof["state"] == "equal":
            return {}
        says = (
            f"`lockstep verify` found {proof['differences']} records that are not what their "
            f"inputs make of them: trust no figure after the first, and see the page Replays."
        )
        return {("verify", "run"): says}

    async def _tell(
        self, session: aiohttp.ClientSession, receiver: Receiver, notice: Notice
    ) -> None:
        """Tell one of them, several times if need be."""
        pause = FIRST_PAUSE
        for number in range(1, TRIES + 1):
            try:
                await receiver.tell(session, notice, self._run)
            except UnreachableError as error:
                if number == TRIES:
                    self.counts["failed"] += 1
                    log.error(  # noqa: TRY400 - a trace would hold the address
                        "an alert was lost", kind=notice.kind, reason=str(error)
                    )
                    return
                wait = max(pause, getattr(error, "wait", 0.0))
                await asyncio.sleep(min(wait, LONGEST_PAUSE))
                pause *= 2
            else:
                self.counts["sent"] += 1
                return
