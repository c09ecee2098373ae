"""A fetcher asks each broker no faster than told, and in bulk for what was handed over."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from app.runtime.fetching import IN_BULK, KNOWN, PROMPT, Asking, Fetching

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
