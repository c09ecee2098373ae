"""Clocks for tests: one that runs faster than life, one that only sleeping moves."""

from __future__ import annotations

import asyncio

from app.market.timing import SystemTime


class FastTime(SystemTime):
    """Real time, twenty times as fast, so that patience and pauses are what they are."""

    factor = 20.0

    def monotonic(self) -> float:
        return super().monotonic() * self.factor

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / self.factor)

    async def wait(self, event: asyncio.Event, seconds: float | None) -> bool:
        return await super().wait(event, None if seconds is None else seconds / self.factor)


class SleptTime(SystemTime):
    """Stands still but for sleeping, which takes no time and is remembered."""

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self.slept: list[float] = []
        self._wall = wall
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._wall + self._now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._now += seconds
        await asyncio.sleep(0)
