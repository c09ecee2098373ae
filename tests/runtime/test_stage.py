"""A stage's runtime on a log in memory: when it writes again what has not changed."""

from __future__ import annotations

import pytest

from app.core.events import Clock, Message, StageState
from app.runtime.codec import decode, encode
from app.runtime.ports import Entry, Place
from app.runtime.stage import REWRITE_EVERY, LostInputError, StageRuntime
from tests.replay.recording import PARTITIONS, MemoryTopics
from tests.simulation.toys import STAGES

PAIRS = STAGES[0]
SILENT, BUSY = "A:X", "A:Z"
HERE = Place("trades", sum(SILENT.encode()) % PARTITIONS)


def clock(key: str, number: int) -> Entry:
    return Entry("trades", key.encode(), encode(Message(Clock(key, 1_000 * number, number, 0))))


async def fallen_silent(checkpoints: int) -> MemoryTopics:
    """Return a log from which retention took all trades that nobody needs.

    One key has had its last trade long before the others', and so many checkpoints ago.
    """
    log = MemoryTopics()
    worker = StageRuntime(PAIRS, log, "run", "first")
    await worker.assign({HERE: None})
    for key, first in ((SILENT, 1), (BUSY, 1), (BUSY, 3)):
        offsets = await log.append([clock(key, first), clock(key, first + 1)])
        await worker.take({HERE: await log.read(HERE, offsets[0])})
    for _ in range(checkpoints):
        await worker.checkpoint()
    log.gone[HERE] = worker.committable()[HERE]
    return log


async def test_an_hour_after_its_last_trade_a_key_needs_none_of_them_any_more() -> None:
    log = await fallen_silent(REWRITE_EVERY)
    end = (await log.bounds(HERE))[1]
    successor = StageRuntime(PAIRS, log, "run", "second")
    assert await successor.assign({HERE: end}) == {HERE: end}


async def test_until_then_its_state_still_asks_for_what_came_after_it() -> None:
    log = await fallen_silent(REWRITE_EVERY - 1)
    successor = StageRuntime(PAIRS, log, "run", "second")
    with pytest.raises(LostInputError, match="from offset 2, but retention has left it from 6"):
        await successor.assign({HERE: log.gone[HERE]})


async def test_what_is_inherited_needs_no_more_than_before_while_others_catch_up() -> None:
    log = MemoryTopics()
    worker = StageRuntime(PAIRS, log, "run", "first")
    await worker.assign({HERE: None})
    await log.append([clock(SILENT, 1), clock(BUSY, 1), clock(BUSY, 2)])
    await worker.take({HERE: await log.read(HERE, 0)})
    successor = StageRuntime(PAIRS, log, "run", "second")
    assert await successor.assign({HERE: 0}) == {HERE: 0}
    await successor.checkpoint()
    written = [
        message.record
        for stored in await log.read(Place("state-pairs", HERE.partition))
        if isinstance((message := decode(stored.value)).record, StageState)
    ]
    assert [(state.key, state.needs) for state in written] == [(BUSY, {"trades": 3})] * 2
    assert written[1].token > written[0].token


async def test_offsets_wait_for_what_was_inherited() -> None:
    log = MemoryTopics()
    worker = StageRuntime(PAIRS, log, "run", "first")
    await worker.assign({HERE: None})
    await log.append([clock(BUSY, 1), clock(BUSY, 2), clock(SILENT, 1)])
    await worker.take({HERE: await log.read(HERE, 0)})
    assert worker.committable() == {HERE: 2}
    successor = StageRuntime(PAIRS, log, "run", "second")
    await successor.assign({HERE: 2})
    assert successor.committable() == {}
    await successor.checkpoint()
    assert successor.committable() == {HERE: 2}
