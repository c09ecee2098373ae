"""What was fetched about one record or moment: rows of a decision, ready to be put into words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.replay.explain.row import Row

NOT_READY = "not_ready"
ACTIVE = ("long", "short")

Pair = tuple[str, str]
"""A strategy and an instrument."""


@dataclass(frozen=True, slots=True)
class Case:
    """One decision of one account, and what is asked of it.

    Attributes:
        subject: The row asked for; none where a moment was.
        account: Whose decision; empty where none is meant, as for a candle.
        time: The decision time, milliseconds since the epoch UTC.
        instrument: Only this instrument; empty: all.
        strategy: Only this strategy; empty: all.
        interval: The base interval, milliseconds; 0 where it is not known.
        rows: All that was fetched, by table, in order of time and place.
        tapes: What each candle was made of, by the candle's identity.
    """

    subject: Row | None
    account: str
    time: int
    instrument: str = ""
    strategy: str = ""
    interval: int = 0
    rows: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    tapes: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)

    def all(self, table: str, **equal: object) -> list[Row]:
        """Return the rows of a table whose columns hold these values."""
        return [
            row
            for row in self.rows.get(table, ())
            if all(row[name] == value for name, value in equal.items())
        ]

    def one(self, table: str, **equal: object) -> Row | None:
        """Return the last such row."""
        found = self.all(table, **equal)
        return found[-1] if found else None

    def now(self, table: str, **equal: object) -> Row | None:
        """Return such a row of the decision time."""
        return self.one(table, time=self.time, **equal)

    def signals(self) -> list[Row]:
        """Return the signals of the decision that are asked for, by strategy and instrument."""
        asked = {"strategy": self.strategy, "instrument": self.instrument}
        found = self.all("signals", time=self.time, **{n: v for n, v in asked.items() if v})
        return sorted(found, key=lambda row: (row["strategy"], row["instrument"]))

    def configuration(self, epoch: int) -> Mapping[str, Any] | None:
        """Return the account's configuration of an epoch."""
        row = self.one("accounts", epoch=epoch)
        return None if row is None else row["configuration"]

    def every(self, signal: Row) -> int:
        """Return how many base intervals are in a bar of a signal's strategy."""
        configuration = self.configuration(signal["epoch"]) or {"strategies": []}
        for strategy in configuration["strategies"]:
            if strategy["name"] == signal["strategy"]:
                return int(strategy["parameters"].get("every", "1"))
        return 1

    def bar(self, signal: Row) -> tuple[int, int]:
        """Return the first and the last decision time of the bar that a signal goes by."""
        length = self.every(signal) * self.interval
        end: int = signal["time"] - signal["time"] % length if length else signal["time"]
        return end - length + self.interval, end

    def fixed_at(self, strategy: str, instrument: str) -> int | None:
        """Return since when the view of a pair has lasted, milliseconds since the epoch UTC.

        "Not ready" is no view, so it does not end one. None where the pair has no view now.
        """
        signals = self.all("signals", strategy=strategy, instrument=instrument)
        views = [row for row in signals if row.time <= self.time and row["view"] != NOT_READY]
        if not views or signals[-1]["view"] == NOT_READY:
            return None
        latest = views[-1]["view"]
        others = [row.time for row in views if row["view"] != latest]
        since = others[-1] if others else -1
        return next(row.time for row in views if row.time > since)
