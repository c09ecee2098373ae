"""What has been spent of the exchange's allowances enters; when to go on leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.market.timing import TimeSource

MINUTE = 60.0


class WeightBudget:
    """Request weight of one address: fixed windows that begin with the minute.

    Attributes:
        limit: Weight that may be used per minute.
        used: Weight known to be used in this minute.
    """

    def __init__(self, limit: int, time: TimeSource) -> None:
        self.limit = limit
        self.used = 0
        self._time = time
        self._minute = self._now()
        self._blocked_until = 0.0

    async def reserve(self, weight: int) -> None:
        """Return when a request of that weight may be made, and count it."""
        while delay := self._delay(weight):
            await self._time.sleep(delay)
        self.used += weight

    def report(self, used: int) -> None:
        """Take what the exchange says was used: other processes may share the address."""
        self._turn()
        self.used = max(self.used, used)

    def block(self, seconds: float) -> None:
        """Let no request be made for so long: the exchange said so."""
        self._blocked_until = max(self._blocked_until, self._time.monotonic() + seconds)

    @property
    def blocked(self) -> bool:
        """Whether the exchange has told us to stop."""
        return self._time.monotonic() < self._blocked_until

    def _delay(self, weight: int) -> float:
        self._turn()
        blocked = self._blocked_until - self._time.monotonic()
        if blocked > 0:
            return blocked
        if self.used and self.used + weight > self.limit:
            # A moment more, because the exchange's clock is not exactly ours.
            return MINUTE - self._time.wall() % MINUTE + 1.0
        return 0.0

    def _turn(self) -> None:
        if self._now() != self._minute:
            self._minute, self.used = self._now(), 0

    def _now(self) -> int:
        return int(self._time.wall() // MINUTE)


class Pace:
    """Lets turns pass one by one, with a pause between them."""

    def __init__(self, seconds: float, time: TimeSource) -> None:
        self._seconds = seconds
        self._time = time
        self._next = 0.0
        self._lock = asyncio.Lock()

    async def turn(self) -> None:
        """Return when the pause since the last turn is over."""
        async with self._lock:
            delay = self._next - self._time.monotonic()
            if delay > 0:
                await self._time.sleep(delay)
            self._next = self._time.monotonic() + self._seconds


class Backoff:
    """Pauses that double with every failure, up to a most, each shortened by chance.

    Full waits in step would bring every client back at the same moment; so a pause is between
    half and all of its length.
    """

    def __init__(self, first: float, most: float, chance: Callable[[], float]) -> None:
        self._first = first
        self._most = most
        self._chance = chance
        self._failures = 0

    def pause(self) -> float:
        """Count a failure and return the seconds to wait."""
        length = min(self._first * 2.0**self._failures, self._most)
        self._failures = min(self._failures + 1, 32)
        return length * (1.0 + self._chance()) / 2.0

    def reset(self) -> None:
        """Forget the failures: something worked."""
        self._failures = 0
