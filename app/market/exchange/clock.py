"""Real time comes in, exchange time goes out: start + elapsed x speed, held or stopped at will."""

from __future__ import annotations

import time
from collections.abc import Callable

LONGEST_STEP_SECONDS = 0.1


class ExchangeClock:
    """The one clock behind every time the exchange tells, in milliseconds UTC since the epoch.

    It moves only when `advance` is called, so that all that is sent in between agrees. Played
    faster or slower than life, a step is at most a tenth of a real second: a stall of the process
    then slows the market instead of pouring the backlog out at once.

    Args:
        start: the time it begins at.
        speed: exchange seconds per real second.
        until: the time it stops at, None for never.
        monotonic: real seconds from any origin.
    """

    def __init__(
        self,
        start: int,
        speed: float,
        until: int | None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.until = until
        self.held = False
        self._now = float(start)
        self._speed = speed
        self._monotonic = monotonic
        self._seen = monotonic()

    @property
    def now(self) -> int:
        """The exchange time of the last step."""
        return int(self._now)

    @property
    def speed(self) -> float:
        """Exchange seconds per real second."""
        return self._speed

    @property
    def finished(self) -> bool:
        """Whether it has stopped for good."""
        return self.until is not None and self._now >= self.until

    def hold(self) -> None:
        """Let exchange time stand still until `release`."""
        self.held = True

    def release(self) -> None:
        """Let exchange time go on from where it stands."""
        if self.held:
            self._seen = self._monotonic()
        self.held = False

    def advance(self) -> int:
        """Move to where real time says and return the new exchange time."""
        seen = self._monotonic()
        elapsed, self._seen = seen - self._seen, seen
        if self._speed != 1:
            elapsed = min(elapsed, LONGEST_STEP_SECONDS)
        if not self.held:
            self.move_to(self._now + elapsed * 1000 * self._speed)
        return self.now

    def move_to(self, moment: float) -> int:
        """Jump forward to an exchange time, at most to the end; an earlier one changes nothing."""
        end = moment if self.until is None else min(moment, self.until)
        self._now = max(self._now, end)
        return self.now
