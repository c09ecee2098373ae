"""Signals of a run and of one that began later enter; how long they took to agree leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.backtest.signals import Course

TOLERANCE = 1e-3
"""Indicators agree within this share of the largest value there was: averages forget slowly."""

VIEW = "view"


@dataclass(frozen=True, slots=True)
class Convergence:
    """How long after a later start a field agreed for good.

    Attributes:
        field: `view`, or an indicator as `indicators.NAME`.
        intervals: Base intervals from the start on; none: not by the end.
    """

    field: str
    intervals: int | None


def convergences(whole: Course, late: Course, interval: int) -> list[Convergence]:
    """Return it for every field of what a strategy said, since the later start.

    Args:
        whole: From the beginning.
        late: From the later start on.
        interval: The base interval, milliseconds.
    """
    times, at, late_at = np.intersect1d(whole.times, late.times, return_indices=True)
    if not times.size:
        return []
    start = int(times[0]) - interval
    views = np.asarray(whole.views)[at] == np.asarray(late.views)[late_at]
    found = [Convergence(VIEW, _intervals(times, views, start, interval))]
    for name in sorted({*whole.indicators, *late.indicators}):
        one, other = _values(whole, name)[at], _values(late, name)[late_at]
        agree = _agree(one, other, _values(whole, name))
        found.append(Convergence(f"indicators.{name}", _intervals(times, agree, start, interval)))
    return found


def _values(course: Course, name: str) -> npt.NDArray[np.float64]:
    values = course.indicators.get(name)
    return np.full(len(course.times), np.nan) if values is None else np.asarray(values)


def _agree(
    one: npt.NDArray[np.float64], other: npt.NDArray[np.float64], every: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    largest = float(np.nanmax(np.abs(every), initial=0.0))
    return np.isclose(one, other, rtol=0.0, atol=TOLERANCE * largest, equal_nan=True)


def _intervals(
    times: npt.NDArray[np.int64], agree: npt.NDArray[np.bool_], start: int, interval: int
) -> int | None:
    """Return how many intervals passed up to the last disagreement, itself included."""
    wrong = np.flatnonzero(~agree)
    if not wrong.size:
        return 0
    last = int(wrong[-1])
    return None if last == len(times) - 1 else (int(times[last]) - start) // interval
