"""Aggregates come in in id order; the rows of one symbol go out by id, by time or newest first."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from decimal import ROUND_DOWN, Context, Decimal
from typing import NamedTuple

from app.market.dumps import Aggregate

EXACT = Context(prec=80)  # never the caller's context, which may round earlier
SMALLEST = Decimal("0.00000001")


class Entry(NamedTuple):
    """An aggregate with its fills.

    Attributes:
        aggregate: the aggregate.
        fills: the quantity of each raw trade from `first_id` on; empty if they are not known.
    """

    aggregate: Aggregate
    fills: tuple[Decimal, ...] = ()


class RawTrade(NamedTuple):
    """One buyer and one seller: a part of an aggregate."""

    id: int
    quantity: Decimal
    aggregate: Aggregate


def raw_trades(entry: Entry) -> Iterator[RawTrade]:
    """Split an aggregate into its raw trades.

    Where a dump of aggregates doesn't say how, the quantity is divided evenly to 8 digits and
    the last trade takes the rest, so that ids, number and sum are right.
    """
    aggregate = entry.aggregate
    if aggregate.void:
        return
    fills = entry.fills or _even(aggregate.quantity, aggregate.last_id - aggregate.first_id + 1)
    for trade_id, quantity in enumerate(fills, aggregate.first_id):
        yield RawTrade(trade_id, quantity, aggregate)


def _even(quantity: Decimal, count: int) -> tuple[Decimal, ...]:
    part = EXACT.divide(quantity, Decimal(count)).quantize(SMALLEST, ROUND_DOWN, EXACT)
    rest = EXACT.subtract(quantity, EXACT.multiply(part, Decimal(count - 1)))
    return (part,) * (count - 1) + (rest,)


class TradeLog:
    """The newest aggregates of one symbol, append-only; it forgets the oldest beyond `keep`."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._entries: list[Entry] = []
        self._times: list[int] = []  # never falling, so that they can be searched
        self._last_trades: list[int] = []  # never falling either: a void row repeats the one before

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def append(self, entry: Entry) -> None:
        """Add the next aggregate."""
        aggregate = entry.aggregate
        self._times.append(max(aggregate.time, self._times[-1] if self._times else 0))
        before = self._last_trades[-1] if self._last_trades else -1
        self._last_trades.append(max(aggregate.last_id, before))
        self._entries.append(entry)
        if len(self._entries) > self._keep + self._keep // 4 + 1:
            for column in (self._times, self._last_trades, self._entries):
                del column[: len(column) - self._keep]

    def visible(self, behind: int) -> int:
        """Return how many rows are seen by a reader that is some ids behind."""
        return max(0, len(self._entries) - behind)

    def from_id(self, aggregate_id: int, limit: int, end: int) -> list[Entry]:
        """Return the oldest of the first `end` rows with at least this id."""
        begin = bisect_left(self._entries, aggregate_id, key=lambda entry: entry.aggregate.id)
        return self._entries[begin : min(begin + limit, end)]

    def oldest(self, since: int, until: int | None, limit: int, end: int) -> list[Entry]:
        """Return the oldest of the first `end` rows in a closed range of times."""
        begin = bisect_left(self._times, since)
        end = end if until is None else min(end, bisect_right(self._times, until))
        return self._entries[begin : min(begin + limit, end)]

    def newest(self, until: int | None, limit: int, end: int) -> list[Entry]:
        """Return the newest of the first `end` rows that are not later than a time."""
        end = end if until is None else min(end, bisect_right(self._times, until))
        return self._entries[max(0, end - limit) : end]

    def trades_from(self, trade_id: int, limit: int, end: int) -> list[RawTrade]:
        """Return the oldest raw trades of the first `end` rows with at least this id."""
        found: list[RawTrade] = []
        for entry in self._entries[bisect_left(self._last_trades, trade_id) : end]:
            found += [trade for trade in raw_trades(entry) if trade.id >= trade_id]
            if len(found) >= limit:
                break
        return found[:limit]

    def newest_trades(self, limit: int, end: int) -> list[RawTrade]:
        """Return the newest raw trades of the first `end` rows."""
        found: list[RawTrade] = []
        for entry in reversed(self._entries[max(0, end - limit) : end]):
            found += reversed(list(raw_trades(entry)))
        return found[:limit][::-1]
