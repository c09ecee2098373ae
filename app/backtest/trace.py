"""What a pipeline makes enters, record by record; a hash for every sender and decision time leaves.

Two runs that decide the same have the same hashes, and 16 bytes a decision time and sender are all
that is kept of either.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from app.core.events import Candle, Epoch, Fill, History, Join, Leave, Output, Record
from app.runtime.codec import encode

TOPICS = ("candles", "signals", "portfolio", "allocations", "risk", "orders", "fills")
_PASSED_ON = (Epoch, History, Join, Leave)
_MASK = (1 << 64) - 1


class Row(NamedTuple):
    """From which stage's key, to which key, on which topic."""

    topic: str
    stage: str
    source: str
    key: str

    @property
    def rank(self) -> int:
        """How far down the flow it is: a difference is shown where it began."""
        return TOPICS.index(self.topic) if self.topic in TOPICS else len(TOPICS)


@dataclass(slots=True)
class Column:
    """A row's decision times, milliseconds since the epoch UTC, and the hash of each."""

    times: array[int] = field(default_factory=lambda: array("q"))
    hashes: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, time: int, value: int) -> None:
        """Add the hash of a record; times never fall."""
        if self.times and self.times[-1] == time:
            # Records of one sender have an order, so it counts.
            self.hashes[-1] = (self.hashes[-1] * 1_000_003 + value + 1) & _MASK
        else:
            self.times.append(time)
            self.hashes.append(value)

    def last(self) -> int:
        """Return the newest decision time; 0 before any."""
        return self.times[-1] if self.times else 0


Rows = dict[Row, Column]


class Place(NamedTuple):
    """Where two runs began to differ: a decision time (milliseconds UTC) and a row."""

    time: int
    row: Row


class Trace:
    """Hashes what a pipeline makes.

    Attributes:
        rows: The hashes.
        kept: The bytes of what was made where `keep` says, in order.
    """

    def __init__(self, interval: int, keep: Place | None = None) -> None:
        self.rows: Rows = {}
        self.kept: list[bytes] = []
        self._interval = interval
        self._keep = keep

    def __call__(self, output: Output) -> None:
        """Take a record."""
        identity = output.message.identity
        if identity is None:
            raise TypeError(f"{output.message.name} has no identity: no stage made it.")
        row = Row(output.topic, identity.stage, identity.source, output.key)
        column = self.rows.get(row) or self.rows.setdefault(row, Column())
        time = max(self._time(output.message.record), column.last())
        raw = encode(output.message)
        digest = hashlib.blake2b(raw, digest_size=8).digest()
        column.add(time, int.from_bytes(digest, "big"))
        if self._keep == (time, row):
            self.kept.append(raw)

    def _time(self, record: Record) -> int:
        """Return the decision time that a record belongs to; 0: that of the one before it."""
        if isinstance(record, Fill):
            return record.decision_time + self._interval  # by then all of them are known
        if isinstance(record, _PASSED_ON) or (isinstance(record, Candle) and record.revision):
            return 0
        time: int = getattr(record, "time", 0)
        return time


def difference(whole: Rows, part: Rows, through: int | None = None) -> Place | None:
    """Return where two runs first differ, at or before a decision time; none where they agree."""
    found = [
        Place(time, row)
        for row in _ordered({**whole, **part})
        if (time := _differs(whole.get(row, Column()), part.get(row, Column()), through))
        is not None
    ]
    return min(found, key=lambda place: (place.time, place.row.rank, place.row), default=None)


def _ordered(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows)


def _differs(whole: Column, part: Column, through: int | None) -> int | None:
    one, other = _until(whole, through), _until(part, through)
    shared = min(len(one[0]), len(other[0]))
    unequal = (one[0][:shared] != other[0][:shared]) | (one[1][:shared] != other[1][:shared])
    where = np.flatnonzero(unequal)
    if where.size:
        first = int(where[0])
        return int(min(one[0][first], other[0][first]))
    longer = one[0] if len(one[0]) > shared else other[0]
    return int(longer[shared]) if len(longer) > shared else None


def _until(column: Column, through: int | None) -> tuple[np.ndarray, np.ndarray]:
    times = np.frombuffer(column.times, dtype=np.int64)
    hashes = np.frombuffer(column.hashes, dtype=np.uint64)
    end = len(times) if through is None else int(np.searchsorted(times, through, side="right"))
    return times[:end], hashes[:end]
