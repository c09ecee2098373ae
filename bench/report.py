"""Measured values enter by name; a table for people and a document for scripts leave."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Goal:
    """What a measurement is to reach.

    Attributes:
        name: The measurement's name.
        value: Its goal.
        limit: Whether less is better.
    """

    name: str
    value: float
    limit: bool = False

    def verdict(self, value: float) -> str:
        """Return whether a value reaches it, in a word."""
        reached = value <= self.value if self.limit else value >= self.value
        return "met" if reached else "missed"


@dataclass(slots=True)
class Report:
    """Everything one run measured.

    Attributes:
        machine: Facts about where it ran.
        values: Every repetition of each measurement, in order of time.
        units: The unit of each measurement.
        goals: What some of them are to reach.
    """

    machine: dict[str, str]
    values: dict[str, list[float]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    goals: list[Goal] = field(default_factory=list)

    def add(self, name: str, unit: str, value: float) -> None:
        """Note one repetition of a measurement."""
        self.values.setdefault(name, []).append(value)
        self.units[name] = unit

    def add_percentiles(self, name: str, milliseconds: Sequence[float]) -> None:
        """Note the p50 and the p99 of many values; `name` is what stands before their names."""
        for share in (0.5, 0.99):
            self.add(f"{name} p{share * 100:.0f}", "ms", percentile(milliseconds, share))

    def document(self) -> dict[str, Any]:
        """Return it for JSON."""
        results = {
            name: {"unit": self.units[name], "median": statistics.median(values), "values": values}
            for name, values in self.values.items()
        }
        goals = [
            {"name": goal.name, "goal": goal.value, "median": median, "verdict": verdict}
            for goal, median, verdict in self._judged()
        ]
        return {"machine": self.machine, "results": results, "goals": goals}

    def show(self, console: Console) -> None:
        """Print it: the median of the repetitions, and the least and the most of them."""
        for name, fact in self.machine.items():
            console.print(f"{name}: {fact}", highlight=False)
        table = Table("measured", "median", "least", "most", "times", "unit")
        for column in table.columns[1:5]:
            column.justify = "right"
        for name, values in self.values.items():
            numbers = (statistics.median(values), min(values), max(values))
            table.add_row(name, *map(_text, numbers), str(len(values)), self.units[name])
        console.print(table)
        if self.goals:
            self._show_goals(console)

    def _show_goals(self, console: Console) -> None:
        table = Table("goal", "at least or most", "median", "verdict")
        for goal, median, verdict in self._judged():
            table.add_row(goal.name, _text(goal.value), _text(median), verdict)
        console.print(table)

    def _judged(self) -> Iterator[tuple[Goal, float, str]]:
        for goal in self.goals:
            median = statistics.median(self.values[goal.name])
            yield goal, median, goal.verdict(median)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of all are at or below (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def ratios(found: Mapping[str, float], to: str) -> dict[str, float]:
    """Return every other value as a share of one of them."""
    return {name: value / found[to] for name, value in found.items() if name != to}


def _text(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.2f}"  # noqa: PLR2004 - 3 digits
