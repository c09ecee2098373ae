"""An order to die, freeze or raise enters, by environment or file; the worker does so there.

An order reads `[kill|freeze|raise] [STAGE:] POINT#N`: at the N-th time that the stage, or any,
passes the point. CRASH holds one from the start; ORDERS names a file that may hold one at any time
and is taken away by the first worker that sees it.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from faust.transport.drivers import aiokafka as driver

from app.core.events import Inbound, Output
from app.runtime.kafka import KafkaLog
from app.runtime.ports import Entry, Place, Stored
from app.runtime.stage import StageRuntime
from app.storage.store import PostgresStore, PostgresTransaction
from app.storage.tables import Table
from app.storage.values import Row

POINTS = (
    "before outputs",
    "amid outputs",
    "after outputs before state",
    "after state before ack",
    "after ack",
    "after claim",
    "amid the sink's COPY",
    "in the sink before commit",
    "in the sink after commit",
    "after trades before state",
)
STEP = "in a step"
"""Where an order to raise falls due: a machine's take of one record."""
SIGNALS = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP}
ORDER = re.compile(r"(?:(kill|freeze|raise) )?(?:([a-z]+): )?(.+)#([0-9]+)")

_stage: ContextVar[str] = ContextVar("stage", default="")


class Points:
    """Counts what is passed until an order falls due."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        path = environment.get("ORDERS")
        self._file = Path(path) if path else None
        self._order: tuple[int, str | None, str] | None = None
        self._left = 0
        if "CRASH" in environment:
            self.take(environment["CRASH"])

    def take(self, text: str) -> None:
        """Take an order in; raises ValueError where it is none."""
        match = ORDER.fullmatch(text)
        if match is None or match[3] not in ((STEP,) if match[1] == "raise" else POINTS):
            raise ValueError(f"{text!r} was no order: [kill|freeze|raise] [STAGE:] POINT#N")
        self._order = (SIGNALS.get(match[1] or "kill", 0), match[2], match[3])
        self._left = int(match[4])

    def passing(self, point: str, stage: str) -> None:
        """End or stop this process if that is ordered here and now."""
        if self.due(point, stage) and self._order is not None:
            number, self._order = self._order[0], None
            os.kill(os.getpid(), number)

    def due(self, point: str, stage: str) -> bool:
        """Count one passing, and return whether it is the one."""
        self._look()
        if self._order is None or self._order[2] != point or self._order[1] not in {None, stage}:
            return False
        self._left -= 1
        return self._left <= 0

    def _look(self) -> None:
        # Also where one is waited for: its point may never come, and a newer one takes its place.
        if self._file is None:
            return
        taken = self._file.with_suffix(f".{os.getpid()}")
        try:
            self._file.rename(taken)
        except FileNotFoundError:
            return
        self.take(taken.read_text())


def install(points: Points) -> None:
    """Let the runtime of this process pass by the points."""
    _watch_appends(points)
    _watch_stages(points)
    _watch_steps(points)
    _watch_acks(points)
    _watch_sink(points)


def _kind(entries: Sequence[Entry]) -> str:
    if entries[0].topic.startswith("state-"):
        key = entries[-1].key
        return {b"!claim": "claim", b"!progress": "progress"}.get(key, "state")
    return "trades" if entries[0].topic == "trades" else "outputs"


def _watch_appends(points: Points) -> None:
    append = KafkaLog.append
    after = {
        "outputs": "after outputs before state",
        "claim": "after claim",
        "trades": "after trades before state",
    }

    async def watched(log: KafkaLog, entries: Sequence[Entry]) -> list[int]:
        kind, stage = (_kind(entries) if entries else ""), _stage.get()
        if kind == "outputs":
            points.passing("before outputs", stage)
            if len(entries) > 1 and points.due("amid outputs", stage):
                await append(log, entries[: len(entries) // 2])
                points.passing("amid outputs", stage)
        offsets = await append(log, entries)
        if kind in after:
            points.passing(after[kind], stage)
        return offsets

    KafkaLog.append = watched  # type: ignore[assignment, method-assign]


def _watch_stages(points: Points) -> None:
    take = StageRuntime.take

    async def watched(runtime: StageRuntime, batches: Mapping[Place, Sequence[Stored]]) -> None:
        _stage.set(runtime.stage.name)
        await take(runtime, batches)
        points.passing("after state before ack", runtime.stage.name)

    StageRuntime.take = watched  # type: ignore[assignment, method-assign]


class _Raising:
    """A machine that fails."""

    revision = time = 0

    def take(self, inbound: Inbound) -> list[Output]:
        raise OrderedError(f"ordered at {inbound.topic}/{inbound.partition}/{inbound.offset}")


class OrderedError(RuntimeError):
    """A step raised because it was ordered to."""


def _watch_steps(points: Points) -> None:
    feed = StageRuntime._feed

    def watched(runtime: Any, partition: Any, stored: Stored, *rest: Any) -> Any:
        if points.due(STEP, runtime.stage.name):
            partition.machines[(stored.key or b"").decode()] = _Raising()
        return feed(runtime, partition, stored, *rest)

    StageRuntime._feed = watched  # type: ignore[assignment, method-assign]


def _watch_acks(points: Points) -> None:
    thread = driver.AIOKafkaConsumerThread
    commit = thread._commit

    async def watched(self: Any, offsets: Any) -> Any:
        done = await commit(self, offsets)
        points.passing("after ack", self.consumer.app.conf.id.rsplit(".", 1)[-1])
        return done

    thread._commit = watched


def _watch_sink(points: Points) -> None:
    transaction = PostgresStore.transaction

    @asynccontextmanager
    async def watched(store: PostgresStore) -> AsyncIterator[Any]:
        async with transaction(store) as begun:
            yield begun
            points.passing("in the sink before commit", "sink")
        points.passing("in the sink after commit", "sink")

    copy = PostgresTransaction._copy

    async def slowly(begun: Any, name: str, table: Table, batch: Sequence[Row]) -> None:
        if len(batch) < 2 or not points.due("amid the sink's COPY", "sink"):
            await copy(begun, name, table, batch)
            return

        async def rows() -> AsyncIterator[Row]:
            for number, row in enumerate(batch):
                if number == len(batch) // 2:
                    points.passing("amid the sink's COPY", "sink")
                yield row

        await copy(begun, name, table, rows())  # type: ignore[arg-type]

    PostgresTransaction._copy = slowly  # type: ignore[assignment, method-assign]
    PostgresStore.transaction = watched  # type: ignore[assignment, method-assign]
