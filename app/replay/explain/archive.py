"""Which rows are wanted enters; the rows leave: a topic's reader and a database's implement it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.core.events.checks import LATEST_TIME
from app.replay.explain.row import TIMELESS, Row


@dataclass(frozen=True, slots=True)
class Wanted:
    """Some rows of one table.

    Attributes:
        table: The table.
        key: The instrument or account whose they are.
        first, last: Only between these times, both included, milliseconds since the epoch UTC.
        equal: Only where these columns hold one of these values.
    """

    table: str
    key: str
    first: int = 0
    last: int = LATEST_TIME
    equal: Mapping[str, tuple[object, ...]] = field(default_factory=dict)

    def fits(self, row: Row) -> bool:
        """Return whether a row of the table and the key is wanted."""
        timely = self.table in TIMELESS or self.first <= row.time <= self.last
        return timely and all(row[name] in values for name, values in self.equal.items())


class Archive(Protocol):
    """What happened, as topics or tables have it. A record that stands twice is there once."""

    async def rows(self, wanted: Sequence[Wanted]) -> list[Row]:
        """Return the rows that any of these want, by time and then by place, each once."""

    async def tape(self, candle: Row) -> list[Row]:
        """Return what a candle was made of: trades and gaps of its time, and what closed it."""


def ordered(rows: Sequence[Row]) -> list[Row]:
    """Return rows by time and then by place; what stands once in a record stays in its order."""
    return sorted(rows, key=lambda row: (row.time, row.fields.get("topic_offset", 0)))
