"""A consumer whose end was cancelled by its own client enters; that its user goes on leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.replay.sources.kafka import end


class Consumer:
    """One whose stop ends in a cancellation, at once or when it is cancelled."""

    def __init__(self, *, waits: bool) -> None:
        self._waits = waits

    async def stop(self) -> None:
        if self._waits:
            await asyncio.Event().wait()
        raise asyncio.CancelledError


async def test_a_client_that_cancels_itself_does_not_end_its_user() -> None:
    consumer: Any = Consumer(waits=False)
    await end(consumer)


async def test_a_user_who_is_cancelled_is_not_held_up() -> None:
    consumer: Any = Consumer(waits=True)
    task = asyncio.create_task(end(consumer))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
