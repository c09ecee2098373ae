"""How long something may take enters; how long to wait before each next look leaves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """How often is asked and how long is waited, seconds.

    Attributes:
        first: Between the first question and the second.
        longest: Between two questions at most.
        settle: How long a copy is looked for after a lost answer.
        gone_within: How long a deletion may take.
        admit_within: How long a copy that is ready may refuse to let us connect.
    """

    first: float = 1.0
    longest: float = 10.0
    settle: float = 60.0
    gone_within: float = 300.0
    admit_within: float = 120.0

    def until(self, seconds: float) -> Iterator[float]:
        """Give the seconds to wait before each next try, until so many have passed."""
        deadline = time.monotonic() + seconds
        pause = self.first
        while (left := deadline - time.monotonic()) > 0:
            yield min(pause, left)
            pause = min(self.longest, 1.5 * pause)
