"""Real time enters the market edge here and nowhere else, so that a test can stand in for it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Protocol


class TimeSource(Protocol):
    """What the market edge needs of a clock."""

    def monotonic(self) -> float:
        """Return seconds from any origin, never going back."""

    def wall(self) -> float:
        """Return seconds since the epoch, UTC."""

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""

    async def wait(self, event: asyncio.Event, seconds: float | None) -> bool:
        """Return once the event is set (true) or so many seconds have passed (false)."""


class SystemTime:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Return seconds since the machine started."""
        return time.monotonic()

    def wall(self) -> float:
        """Return seconds since the epoch, UTC."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, seconds: float | None) -> bool:
        """Return once the event is set (true) or so many seconds have passed (false)."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if seconds is None else max(seconds, 0.0)):
                await event.wait()
        return event.is_set()
