"""Signals of a run enter; a table of views and indicators leaves, to compare with another run's."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field

from app.core.events import Output, Signal, View

VIEWS = tuple(View)
Follower = tuple[str, str, str]
"""Account, strategy and instrument."""


@dataclass(slots=True)
class Course:
    """What one strategy said of one instrument, to one account.

    Attributes:
        times: Decision times, milliseconds since the epoch UTC.
        views: Each view, as its number in `VIEWS`.
        indicators: By name, each value; NaN where there was none.
    """

    times: array[int] = field(default_factory=lambda: array("q"))
    views: array[int] = field(default_factory=lambda: array("b"))
    indicators: dict[str, array[float]] = field(default_factory=dict)

    def add(self, signal: Signal) -> None:
        """Add a signal."""
        before = len(self.times)
        self.times.append(signal.time)
        self.views.append(VIEWS.index(signal.view))
        for name in signal.indicators:
            self.indicators.setdefault(name, array("d", [math.nan]) * before)
        for name, values in self.indicators.items():
            values.append(signal.indicators.get(name, math.nan))


class Courses:
    """Collects the signals of a run.

    Attributes:
        found: By who said it.
    """

    def __init__(self) -> None:
        self.found: dict[Follower, Course] = {}

    def __call__(self, output: Output) -> None:
        """Take a record; what is no signal is passed over."""
        record = output.message.record
        if isinstance(record, Signal):
            who = (record.account, record.strategy, record.instrument)
            self.found.setdefault(who, Course()).add(record)
