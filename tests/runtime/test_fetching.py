"""A fetcher asks each broker no faster than told, and in bulk for what was handed over."""

from __future__ import annotations

import asyncio
import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer import fetcher as client_fetcher
from aiokafka.consumer.fetcher import READ_UNCOMMITTED
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from app.runtime.fetching import IN_BULK, KNOWN, PROMPT, Asking, Fetched, Fetching

OWN: type[Any] = Fetched.__bases__[0]  # under its own name stands ours
PAUSE = 0.05
TIMES = 3


async def test_questions_to_one_broker_keep_their_distance() -> None:
    asked: list[int] = []

    async def ask(_assignment: Any, node: int, _request: Any) -> bool:
        asked.append(node)
        return True

    fetcher = SimpleNamespace(_proc_fetch_request=ask)
    Asking(fetcher, Fetching(pause=PAUSE, least=1, wait=1))

    async def questions(node: int) -> None:
        for _ in range(TIMES):
            assert await fetcher._proc_fetch_request(None, node, None)

    loop = asyncio.get_running_loop()
    begun = loop.time()
    await asyncio.gather(questions(1), questions(2))
    assert loop.time() - begun > 0.9 * (TIMES - 1) * PAUSE  # a timer may be early by a little
    assert asked[:2] == [1, 2]  # the first to each is not held up
    assert sorted(asked) == [1] * TIMES + [2] * TIMES


def test_who_is_handed_all_it_reads_asks_in_bulk_until_something_is_new() -> None:
    fetcher: Any = SimpleNamespace(_proc_fetch_request=None)
    asking = Asking(fetcher, PROMPT)

    def told() -> tuple[int, int]:
        return fetcher._fetch_min_bytes, fetcher._fetch_max_wait_ms

    prompt, bulk = (PROMPT.least, PROMPT.wait), (IN_BULK.least, IN_BULK.wait)
    asking.answered(1, new=True)
    assert told() == prompt
    asking.answered(KNOWN - 1, new=False)
    assert told() == prompt
    asking.answered(1, new=False)
    assert told() == bulk
    asking.answered(KNOWN, new=True)  # one of them was
    assert told() == prompt
    asking.answered(1, new=False)
    assert told() == prompt


def answer(count: int) -> MemoryRecords:
    """Return a broker's answer of so many records, two batches of them."""
    batches = b""
    for numbers in (range(count // 2), range(count // 2, count)):
        batch = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1_000_000)
        for place, number in enumerate(numbers):
            batch.append(place, 1, b"%d" % number, b"value", [])
        built = bytearray(batch.build())
        built[:8] = numbers.start.to_bytes(8, "big")  # a broker puts in where it stands
        batches += built
    return MemoryRecords(batches)


def fetched(kind: type[Any], count: int) -> Any:
    place = TopicPartition("trades", 0)
    return kind(place, answer(count), None, 3, None, None, False, READ_UNCOMMITTED)


def is_freed(kind: type[Any]) -> bool:
    """Return whether what was fetched and read in part is gone once it is dropped."""
    gc.disable()
    try:
        found = fetched(kind, 10)
        next(found)
        dropped = weakref.ref(found)
        del found
        return dropped() is None
    finally:
        gc.enable()


def test_what_was_fetched_is_freed_when_it_is_dropped() -> None:
    assert is_freed(Fetched)


def test_the_clients_own_is_not() -> None:
    """Where this fails the client has mended it, and `Fetched` is needed no more."""
    assert not is_freed(OWN)


def test_it_yields_what_the_clients_own_does() -> None:
    assert client_fetcher.PartitionRecords is Fetched
    ours, theirs = fetched(Fetched, 10), fetched(OWN, 10)
    for record in theirs:
        assert next(ours) == record
        assert ours.next_fetch_offset == theirs.next_fetch_offset
    with pytest.raises(StopIteration):
        next(ours)
    assert ours.next_fetch_offset == theirs.next_fetch_offset == 10
