"""Any number of stirs enter; wakings of all who wait, never closer than a pause, leave."""

from __future__ import annotations

import asyncio
import contextlib

PAUSE = 0.1
"""Seconds between two wakings: what comes meanwhile goes out together."""


class Pulse:
    """Wakes waiters when something has changed: at once after a rest, else once a pause."""

    def __init__(self, pause: float = PAUSE) -> None:
        self._pause = pause
        self._stirred = asyncio.Event()
        self._beat = asyncio.Event()
        self.count = 0
        self.closed = False

    def stir(self) -> None:
        """Say that something has changed."""
        self._stirred.set()

    def close(self) -> None:
        """Wake everybody for the last time."""
        self.closed = True
        self._stirred.set()
        self._beat.set()

    async def run(self) -> None:
        """Wake waiters, for ever."""
        while not self.closed:
            await self._stirred.wait()
            self._stirred.clear()
            self.count += 1
            beat, self._beat = self._beat, asyncio.Event()
            beat.set()
            await asyncio.sleep(self._pause)

    async def wait(self, seen: int, seconds: float) -> None:
        """Wait for a waking after the one counted `seen`, for so many seconds at most."""
        if self.closed or self.count != seen:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._beat.wait()
