"""What the runtime believes of a log, asked of the real broker and of the simulator alike."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.core.events import Clock, Message
from app.errors import UnreachableError
from app.runtime.kafka import KafkaLog
from app.runtime.ports import Entry, Log, Place, Stored
from tests.simulation.log import SimulatedLog

COUNTS = {"first": 2, "second": 3}
PATIENCE = 120.0


class Undisturbed:
    """The simulated log with nobody who stops at its points."""

    def __init__(self) -> None:
        self._log = SimulatedLog(COUNTS, random.Random("contract"))

    async def append(self, entries: Sequence[Entry]) -> list[int]:
        return _finish(self._log.append(entries))

    async def read(self, place: Place, start: int | None = None) -> list[Stored]:
        return _finish(self._log.read(place, start))

    async def bounds(self, place: Place) -> tuple[int, int]:
        return await self._log.bounds(place)

    async def partitions(self, topic: str) -> int:
        return await self._log.partitions(topic)

    def partition_for(self, key: bytes, partitions: int) -> int:
        return self._log.partition_for(key, partitions)


def _finish(coroutine: Any) -> Any:
    while True:
        try:
            coroutine.send(None)
        except StopIteration as done:
            return done.value


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[KafkaLog]:
    bootstrap = os.environ["LOCKSTEP_KAFKA__BOOTSTRAP"]
    prefix = f"contract-{uuid.uuid4().hex[:8]}."
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(prefix + n, count, 1) for n, count in COUNTS.items()])
    async with asyncio.timeout(PATIENCE):  # a broker may know of a topic later than it says so
        unknown = {prefix + name for name in COUNTS}
        while unknown:
            await asyncio.sleep(0.02)  # it can't be asked to say when
            unknown -= set(await admin.list_topics())
    real = KafkaLog(bootstrap, prefix)
    await real.start()
    yield real
    await real.stop()
    await admin.delete_topics([prefix + name for name in COUNTS])
    await admin.close()


@pytest.fixture(params=["simulated", pytest.param("kafka", marks=pytest.mark.integration)])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    if request.param == "simulated":
        yield Undisturbed()
        return
    async with opened() as real:
        yield real


async def test_offsets_count_from_zero_in_the_order_of_the_entries(log: Log) -> None:
    entries = [Entry("first", b"k", b"%d" % n, 1) for n in range(5)]
    assert await log.append(entries) == [0, 1, 2, 3, 4]
    assert [s.value for s in await log.read(Place("first", 1))] == [b"0", b"1", b"2", b"3", b"4"]


async def test_read_starts_where_it_is_told_and_ends_at_the_end(log: Log) -> None:
    await log.append([Entry("first", b"k", b"%d" % n, 0) for n in range(3)])
    assert [s.offset for s in await log.read(Place("first", 0), 1)] == [1, 2]
    assert await log.read(Place("first", 0), 3) == []
    assert await log.read(Place("second", 2)) == []


async def test_bounds_are_the_first_offset_and_the_next_one(log: Log) -> None:
    assert await log.bounds(Place("second", 0)) == (0, 0)
    await log.append([Entry("second", b"k", b"v", 0)])
    assert await log.bounds(Place("second", 0)) == (0, 1)


async def test_a_key_goes_where_partition_for_says(log: Log) -> None:
    keys = [f"BINANCE:{name}".encode() for name in ("BTCUSDT", "ETHUSDT", "XRPETH", "SOLUSDT")]
    await log.append([Entry("second", key, b"v") for key in keys])
    for key in keys:
        number = log.partition_for(key, await log.partitions("second"))
        assert key in [s.key for s in await log.read(Place("second", number))]


async def test_partitions_are_counted(log: Log) -> None:
    assert [await log.partitions(topic) for topic in COUNTS] == [2, 3]


async def test_a_broker_that_is_not_there_is_one_sentence() -> None:
    log = KafkaLog("127.0.0.1:1", "")
    with pytest.raises(UnreachableError, match="lockstep up"):
        await log.start()


@pytest.mark.integration
async def test_what_was_appended_is_told_as_it_is_read() -> None:
    async with opened() as log:
        told: list[Stored] = []
        log.appended = told.extend
        messages = [Message(Clock("X:Y", n, 0, 0)) for n in range(20)]
        entries = [Entry("first", b"%d" % n, b"%d" % n, message=messages[n]) for n in range(20)]
        await log.append(entries)
        read = [each for number in (0, 1) for each in await log.read(Place("first", number))]
        assert sorted(told, key=str) == sorted(read, key=str)
        assert [each.value for each in told] == [entry.value for entry in entries]
        assert [each.message for each in told] == messages
