"""A partition along which something rises enters; the offset where it passes a value leaves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from app.replay.sources.topics import Recording
from app.runtime.ports import Place, Stored

NEAR = 5_000
"""Records within which it stops: reading on costs less than asking again."""

Below = Callable[[Stored], bool | None]
"""Tells whether a record is below the value; none where it tells nothing of it."""


async def bisected(
    recording: Recording, place: Place, low: int, high: int, below: Below, *, near: int = NEAR
) -> int:
    """Return an offset before which everything is below a value.

    Where what rises now and then falls back a little (a record that stands twice, a trade that came
    late), begin some records before.

    Args:
        recording: The topics.
        place: The partition.
        low: The first offset that may be it.
        high: The offset behind the last that may be it.
        below: Asked of records until it tells.
        near: Within so many records it does not look closer.
    """
    while high - low > near:
        middle = (low + high) // 2
        if await _answer(recording, place, middle, high, below):
            low = middle
        else:
            high = middle
    return low


async def _answer(recording: Recording, place: Place, begin: int, end: int, below: Below) -> bool:
    """Return what the first record from an offset on that tells anything tells."""
    async with aclosing(_generator(recording.chunks(place, begin, end))) as chunks:
        async for chunk in chunks:
            for stored in chunk:
                answer = below(stored)
                if answer is not None:
                    return answer
    return False


def _generator(chunks: Any) -> Any:
    return chunks  # every implementation is a generator, which is left in the middle here
