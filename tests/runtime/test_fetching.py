"""A fetcher asks each broker no faster than told, and at once after a pause."""

from __future__ import annotations

import asyncio
import itertools
from types import SimpleNamespace
from typing import Any

from app.runtime.fetching import Fetching, pace

PAUSE = 0.05


async def test_questions_to_one_broker_keep_their_distance() -> None:
    times: dict[int, list[float]] = {1: [], 2: []}
    now = asyncio.get_running_loop().time

    async def ask(_assignment: Any, node: int, _request: Any) -> bool:
        times[node].append(now())
        return True

    fetcher = SimpleNamespace(_proc_fetch_request=ask)
    pace(fetcher, Fetching(pause=PAUSE, least=1, wait=1))

    async def questions(node: int) -> None:
        for _ in range(3):
            assert await fetcher._proc_fetch_request(None, node, None)

    await asyncio.gather(questions(1), questions(2))
    for asked in times.values():
        # A loop's timers may be early by their resolution.
        assert all(b - a > 0.9 * PAUSE for a, b in itertools.pairwise(asked))
