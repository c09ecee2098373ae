"""A seed enters, every choice of a run leaves; a run replays, and shrinks, from its choices."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
PER_MILLE = 1000


class Tape:
    """Draws, and remembers what it drew; 0 always means that nothing unusual happens.

    Attributes:
        drawn: Every choice so far.
    """

    def __init__(self, seed: object = 0, replay: Sequence[int] | None = None) -> None:
        self.drawn: list[int] = []
        self._random = random.Random(f"{seed}:tape").random
        self._replay = replay

    def randrange(self, bound: int) -> int:
        """Return a number from 0 to one less than `bound`."""
        if self._replay is None:
            value = int(self._random() * bound)
        else:
            n = len(self.drawn)
            value = min(self._replay[n], bound - 1) if n < len(self._replay) else 0
        self.drawn.append(value)
        return value

    def pick(self, among: Sequence[T]) -> T:
        return among[self.randrange(len(among)) if len(among) > 1 else 0]

    def happens(self, per_mille: int) -> bool:
        """Return whether something unusual of that probability happens now."""
        return 0 < self.randrange(PER_MILLE) <= per_mille


def shrink(drawn: Sequence[int], fails: Callable[[list[int]], bool], tries: int = 300) -> list[int]:
    """Return choices that still fail, with as many zeros as a number of tries can bring about."""
    best = list(drawn)
    size = max(len(best) // 2, 1)
    while size and tries > 0:
        start = 0
        while start < len(best) and tries > 0:
            if any(best[start : start + size]):
                zeros = [0] * len(best[start : start + size])
                attempt = [*best[:start], *zeros, *best[start + size :]]
                tries -= 1
                if fails(attempt):
                    best = attempt
            start += size
        size //= 2
    return best
