"""What is added before a stage's agent has begun sets it to work, and takes nothing from it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from app.runtime.faust_settings import faust_settings
from app.runtime.ports import Place, Stored
from app.runtime.shell import Shell, StageApp

SETTINGS: Any = SimpleNamespace(
    kafka=SimpleNamespace(bootstrap="127.0.0.1:1", session_timeout=6.0, security=dict)
)
PATIENCE = 30.0


class Keeper:
    """Keeps the offsets it is given, and says when it has so many of them."""

    def __init__(self, count: int) -> None:
        self.taken: list[int] = []
        self.has_all = asyncio.Event()
        self._count = count

    async def take(self, batches: Mapping[Place, Sequence[Stored]]) -> None:
        self.taken += [stored.offset for batch in batches.values() for stored in batch]
        await asyncio.sleep(0)
        if len(self.taken) == self._count:
            self.has_all.set()

    async def assign(self, places: Mapping[Place, int | None]) -> dict[Place, int]:
        return dict.fromkeys(places, 0)

    def full(self) -> frozenset[Place]:
        return frozenset()


@contextlib.asynccontextmanager
async def begun(keeper: Keeper) -> AsyncIterator[Shell]:
    """Yield a stage that was assigned two partitions; there is no broker."""
    app = StageApp("waking", **faust_settings(SETTINGS))
    shell = Shell("waking", ("signals", "fills"), "", app)
    shell.intake = keeper  # type: ignore[assignment]
    (agent,) = app.agents.values()
    await agent.start()
    await asyncio.sleep(0)
    partitions = {TP("signals", 0), TP("fills", 0)}
    app.consumer._set_active_tps(partitions)  # what an assignment does
    await app.topics.on_partitions_assigned(partitions)
    await shell.assign(dict.fromkeys(partitions))
    app.flow_control.resume()
    app.consumer.resume_flow()
    try:
        yield shell
    finally:
        await agent.stop()


def own(count: int) -> list[Stored]:
    return [Stored("signals", 0, offset, b"k", b"v") for offset in range(count)]


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 100])
async def test_a_burst_before_the_first_take_leaves_every_partition_read(count: int) -> None:
    keeper = Keeper(count)
    async with begun(keeper) as shell:
        for stored in own(count):
            shell.hand([stored])
        await asyncio.wait_for(keeper.has_all.wait(), PATIENCE)
        assert keeper.taken == list(range(count))
        read = shell.app.consumer._active_partitions
        assert read == {TP("signals", 0), TP("fills", 0)}


async def test_it_goes_on_after_a_rest_and_after_another_assignment() -> None:
    async with begun(Keeper(1)) as shell:
        for offset in (0, 1, 0):
            shell.intake = keeper = Keeper(1)  # type: ignore[assignment]
            shell.hand([own(2)[offset]])
            await asyncio.wait_for(keeper.has_all.wait(), PATIENCE)
            if offset == 1:
                shell.app.consumer_generation_id += 1
                await shell.assign({TP("signals", 0): None})


async def test_a_call_that_a_rebalance_took_is_made_again() -> None:
    keeper = Keeper(1)
    async with begun(keeper) as shell:
        shell.hand(own(1))
        shell.app.consumer_generation_id += 1  # Faust drops events of another one
        for _ in range(20):
            await asyncio.sleep(0)
        assert keeper.taken == []
        await shell.assign({TP("signals", 0): None})
        shell.hand(own(1))
        await asyncio.wait_for(keeper.has_all.wait(), PATIENCE)
