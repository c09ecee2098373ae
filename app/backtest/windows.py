"""An equity curve enters; what it was worth in and out of sample, window by window, leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.core.metrics.arrays import Floats, Times
from app.core.metrics.ratios import sharpe
from app.core.metrics.returns import sample, sampling
from app.errors import LockstepError

LEARNING = 2
"""Parts of the time that a window picks on; it is judged on the one after them."""

FEWEST = 10
"""Decision times in a part, at least."""


@dataclass(frozen=True, slots=True)
class Window:
    """One step of a walk forward; times in milliseconds since the epoch UTC.

    Attributes:
        start: The picking begins.
        turn: It ends, and the judging begins.
        end: The judging ends.
    """

    start: int
    turn: int
    end: int


@dataclass(frozen=True, slots=True)
class Score:
    """What a stretch of equity was worth.

    Attributes:
        sharpe: Its Sharpe ratio, a year; none where it is not defined, as where nothing moved.
        gained: Its return, 0.01 for 1 %; none where equity was not above zero.
    """

    sharpe: float | None
    gained: float | None

    @property
    def worth(self) -> float:
        """The Sharpe ratio; 0 where nothing moved: nothing was risked and nothing earned."""
        return 0.0 if self.sharpe is None else self.sharpe


@dataclass(frozen=True, slots=True)
class WindowScore:
    """In and out of sample, of one window."""

    window: Window
    inside: Score
    outside: Score


def windows(start: int, end: int, count: int, interval: int) -> tuple[Window, ...]:
    """Return windows that follow each other: two parts to pick on, the next one to judge by.

    Args:
        start: The first decision time, milliseconds since the epoch UTC.
        end: The last.
        count: How many windows; the time is divided into two parts more.
        interval: The base interval, milliseconds.

    Raises:
        LockstepError: A part would be shorter than ten base intervals.
    """
    part = (end - start) // (count + LEARNING) // interval * interval
    if part < FEWEST * interval:
        raise LockstepError(
            f"the time is too short for {count} windows of at least {FEWEST} base intervals each: "
            f"give more data, or fewer --windows."
        )
    begins = [start + number * part for number in range(count)]
    return tuple(
        Window(begin, begin + LEARNING * part, begin + (LEARNING + 1) * part) for begin in begins
    )


def scores(
    times: Times, equity: Floats, every: tuple[Window, ...], interval: int
) -> list[WindowScore]:
    """Return what an equity curve was worth in every window, sampled alike in and out of it."""
    part = every[0].end - every[0].turn
    found = []
    for window in every:
        inside = _score(times, equity, window.start, window.turn, part, interval)
        outside = _score(times, equity, window.turn, window.end, part, interval)
        found.append(WindowScore(window, inside, outside))
    return found


def _score(  # noqa: PLR0917 - one stretch of one curve
    times: Times, equity: Floats, start: int, end: int, part: int, interval: int
) -> Score:
    first, last = np.searchsorted(times, (start, end + 1))
    stretch, worth = times[first:last], equity[first:last]
    value = sharpe(sample(stretch, worth, sampling(part, interval))).value
    gained = float(worth[-1] / worth[0] - 1.0) if worth[0] > 0 else None
    return Score(None if value is None else float(value), gained)
