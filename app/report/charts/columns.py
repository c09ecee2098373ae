"""Long arrays enter; what fits the pixels of a chart leaves, nothing that shows is lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.core.metrics.arrays import Floats, Times

Point = tuple[int, float]
"""A time, milliseconds since the epoch UTC, and a value."""


def pick(count: int, most: int) -> list[int]:
    """Return at most so many indexes of a sequence, evenly, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [index * (count - 1) // (most - 1) for index in range(most)]


def thin(times: Times, values: Floats, columns: int) -> list[Point]:
    """Return the points that show when a curve is drawn so many pixels wide.

    Of each pixel column its first, lowest, highest and last point, in the order of time.
    """
    if len(times) <= 2 * columns:
        return list(zip(times.tolist(), values.tolist(), strict=True))
    span = int(times[-1] - times[0])
    column = (times - times[0]) * columns // (span + 1)
    begins = np.flatnonzero(np.diff(column, prepend=-1))
    points: list[Point] = []
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(times)], strict=True):
        part = values[begin:end]
        shown = {0, int(np.argmin(part)), int(np.argmax(part)), len(part) - 1}
        points += [(int(times[begin + each]), float(part[each])) for each in sorted(shown)]
    return points


def extent(rows: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the lowest and highest of all values; 0 and 1 for none."""
    lows = [min(row) for row in rows if len(row)]
    highs = [max(row) for row in rows if len(row)]
    return (min(lows), max(highs)) if lows else (0.0, 1.0)
