"""How often something was tried enters, how long to wait before the next try leaves."""

from __future__ import annotations

import random
from collections.abc import Iterator

FIRST = 0.05
LONGEST = 5.0


def delays(first: float = FIRST, longest: float = LONGEST) -> Iterator[float]:
    """Yield seconds to wait: exponential with full jitter, so that many clients spread out.

    The n-th is uniform in [0, min(longest, first x 2^n)]: Brooker, "Exponential Backoff And
    Jitter", AWS Architecture Blog, 2015.
    """
    ceiling = first
    while True:
        yield random.uniform(0, ceiling)  # noqa: S311 - spreads load, guards nothing
        ceiling = min(longest, 2 * ceiling)
