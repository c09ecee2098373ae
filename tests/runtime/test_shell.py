"""The Faust shell on the real broker: killed, joined, stopped; what it leaves is exact."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import uuid
from collections.abc import AsyncIterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.runtime.codec import decode, identity_of
from app.runtime.kafka import KafkaLog
from app.runtime.ports import Entry, Place
from tests.simulation.toys import COUNTS, STAGES, clock, clocks, expected

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

COUNT = 400
PATIENCE = 60.0


class Run:
    """Topics under a prefix of their own, and the worker processes on them."""

    def __init__(self, bootstrap: str) -> None:
        self.prefix = f"toy-{uuid.uuid4().hex[:8]}."
        self.log = KafkaLog(bootstrap, self.prefix)
        self.workers: list[asyncio.subprocess.Process] = []
        self.environment = os.environ | {"TOY_PREFIX": self.prefix}

    async def start(self, **environment: str) -> asyncio.subprocess.Process:
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.runtime.toy_worker", "worker", "-l", "error",
            env=self.environment | environment,
            stderr=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    async def identities(self) -> dict[tuple[str, int], str]:
        """Return what stands on `risk` by identity; repeats must be the same bytes."""
        found: dict[tuple[str, int], str] = {}
        values: dict[str, bytes] = {}
        for number in range(COUNTS["risk"]):
            for stored in await self.log.read(Place("risk", number)):
                message = decode(stored.value or b"")
                assert message.identity is not None
                assert values.setdefault(message.name, stored.value or b"") == stored.value
                key = message.identity.destination, message.identity.number
                found[key] = message.origin or ""
        return found

    async def reaches(self, count: int) -> None:
        """Wait until so many identities stand on `risk`: reading to its end is the event."""
        while len(await self.identities()) < count:  # noqa: ASYNC110 - a broker has no event
            await asyncio.sleep(0.05)

    async def claimed(self, stage: str) -> None:
        """Wait until every partition of a stage is owned."""
        for number in range(2):
            while not await self.log.read(Place(f"state-{stage}", number)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def booked(self, name: str) -> int:
        """Return how many pairs of an instrument's clocks an account was told of."""
        stored = [each for number in (0, 1) for each in await self.log.read(Place("fills", number))]
        found = [each for entry in stored if (each := identity_of(entry.value)) is not None]
        return max((each.number for each in found if each.source == name), default=0)

    async def books(self, name: str, count: int) -> None:
        """Wait until so many pairs of an instrument's clocks are booked."""
        while await self.booked(name) < count:  # noqa: ASYNC110 - a broker has no event
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        for worker in self.workers:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()
        await self.log.stop()


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    bootstrap = os.environ["LOCKSTEP_KAFKA__BOOTSTRAP"]
    made = Run(bootstrap)
    names = {**COUNTS, **{f"state-{stage.name}": 2 for stage in STAGES}}
    names |= {"dead-letters": 1, "snapshots": 1}
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(made.prefix + n, p, 1) for n, p in names.items()])
    await made.log.start()
    yield made
    await made.close()
    await admin.delete_topics([made.prefix + name for name in names])
    await admin.close()


async def test_kills_in_work_and_a_second_worker_lose_and_double_nothing(run: Run) -> None:
    chance = random.Random("shell")
    entries = clocks(COUNT)
    third = len(entries) // 3
    worker = await run.start()
    for part in (entries[:third], entries[third : 2 * third]):
        await run.log.append(part)
        await run.reaches(len(await run.identities()) + chance.randrange(1, 20))
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
        worker = await run.start()
    second = await run.start()
    await run.log.append(entries[2 * third :])
    wanted = expected(COUNT)
    await run.reaches(len(wanted))
    assert await run.identities() == wanted
    for left in (worker, second):
        left.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(left.wait(), PATIENCE) == 0


async def test_a_worker_that_was_stopped_past_its_session_does_not_win(run: Run) -> None:
    zombie = await run.start()
    entries = clocks(COUNT)
    await run.log.append(entries[: len(entries) // 2])
    await run.reaches(10)
    zombie.send_signal(signal.SIGSTOP)
    successor = await run.start()
    await run.reaches(len(expected(COUNT // 2)))
    await run.log.append(entries[len(entries) // 2 :])
    zombie.send_signal(signal.SIGCONT)
    await run.reaches(len(expected(COUNT)))
    assert await run.identities() == expected(COUNT)
    assert successor.returncode is None


async def test_a_stage_has_what_its_neighbour_appended_without_reading_it(run: Run) -> None:
    # The last stage asks its broker once, while nothing is there, and then not for ten minutes.
    worker = await run.start(TOY_READING="pairs")
    await run.claimed("joined")
    await run.log.append(clocks(COUNT))
    async with asyncio.timeout(PATIENCE):
        await run.reaches(len(expected(COUNT)))
    assert await run.identities() == expected(COUNT)
    assert worker.returncode is None


async def test_a_partition_of_which_enough_is_held_is_not_read(run: Run) -> None:
    names = {run.log.partition_for(f"A:{number}".encode(), 2): f"A:{number}" for number in range(9)}
    held, free = names[0], names[1]
    worker = await run.start(TOY_HELD="0")
    await run.log.append([clock(name, number) for number in (1, 2) for name in (held, free)])
    await run.books(held, 1)
    # One after the other: who could read both would have the first before the second.
    await run.log.append([clock(held, number) for number in (3, 4)])
    await run.log.append([clock(free, number) for number in (3, 4)])
    await run.books(free, 2)
    assert await run.booked(held) == 1
    worker.kill()
    await worker.wait()
    await run.start()
    await run.books(held, 2)


async def test_bytes_that_only_our_stages_may_write_stop_the_worker(run: Run) -> None:
    worker = await run.start()
    # `trades` is open to foreign bytes: they are skipped here, and its warden reports them.
    await run.log.append([Entry("trades", b"A:X", b"{garbage"), *clocks(2)])
    await run.reaches(len(expected(2)))
    await run.log.append([Entry("fills", b"left", b"{garbage")])
    assert await asyncio.wait_for(worker.wait(), PATIENCE) == 70
