"""An equity curve enters; its falls from peak to recovery leave, the worst first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.core.metrics.arrays import Floats, Times

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Drawdown:
    """One fall of the equity below its highest value so far, until that is reached again.

    Attributes:
        depth: (peak - trough) / peak, above 0; more than 1 where the equity fell below 0.
        start: When the peak was last held, milliseconds since the epoch UTC.
        trough: When the equity was lowest, the first time if several.
        recovery: When the peak was reached again; none by the end of the run.
        length: Milliseconds from start to recovery, or to the end of the run.
    """

    depth: float
    start: int
    trough: int
    recovery: int | None
    length: int


def curve(equity: Floats) -> Floats:
    """Return the drawdown at every point: equity / running peak - 1, at most 0.

    Source: Magdon-Ismail and Atiya, Maximum drawdown, Risk 17(10), 2004. All zeros until the peak
    is above zero, before which a share of it means nothing.
    """
    peak = np.maximum.accumulate(equity)
    sound = np.where(peak > 0, peak, 1.0)
    return np.where(peak > 0, (equity - peak) / sound, 0.0)


def worst(times: Times, equity: Floats, count: int = SHOWN) -> tuple[Drawdown, ...]:
    """Return the deepest drawdowns, deepest first, of equal ones the earlier first.

    Taken at every decision time, not at the samples that volatility is measured from: a fall
    within a day counts.
    """
    falls = curve(equity)
    below = falls < 0
    edges = np.flatnonzero(np.diff(below.astype(np.int8), prepend=0))
    begins, ends = edges[::2], edges[1::2]
    if not len(begins):
        return ()
    if len(ends) < len(begins):
        ends = np.append(ends, len(falls))
    depths = np.minimum.reduceat(falls, begins)
    order = np.argsort(depths, kind="stable")[:count]
    return tuple(_drawdown(times, falls, int(begins[each]), int(ends[each])) for each in order)


def _drawdown(times: Times, falls: Floats, begin: int, end: int) -> Drawdown:
    lowest = begin + int(np.argmin(falls[begin:end]))
    start = int(times[begin - 1])
    recovery = int(times[end]) if end < len(times) else None
    over = int(times[-1]) if recovery is None else recovery
    return Drawdown(float(-falls[lowest]), start, int(times[lowest]), recovery, over - start)
