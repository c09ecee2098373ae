"""Records as read from every topic enter, in batches; each one's rows stand in the tables once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from app.core.events import Inbound, Trades
from app.errors import BugError
from app.storage.backoff import delays
from app.storage.errors import TRANSIENT, DatabaseRefusedError
from app.storage.rows import rows
from app.storage.tables import TABLES, Table
from app.storage.trade_rows import TradeRows
from app.storage.values import Row

T = TypeVar("T")
TRADES = "trades"
Place = tuple[str, int]
"""A topic, by its logical name, and a partition."""


class HoleError(BugError):
    """A batch began after the first offset that is not stored yet.

    Attributes:
        place: Where.
        expected: The offset to read from.
    """

    def __init__(self, place: Place, expected: int, offset: int) -> None:
        super().__init__(
            f"The sink was given {place[0]}/{place[1]}/{offset}, but the database holds that "
            f"partition up to {expected}: read on from {expected}. If the log no longer has that "
            f"offset, records were lost: restore a newer database, or begin a new schema."
        )
        self.place = place
        self.expected = expected


class ConflictError(BugError):
    """A derived record met a row of another record under its own key: one of them is wrong."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An offset whose bytes no table can hold; whoever read it has put it on dead-letters."""

    topic: str
    partition: int
    offset: int


class Transaction(Protocol):
    """One transaction on the tables."""

    async def lock(self, places: Sequence[Place]) -> dict[Place, int]:
        """Lock each partition's row until the end and return its next offset, 0 where new."""

    async def insert(self, table: Table, batch: Sequence[Row]) -> None:
        """Add rows; one whose key is there already is left as it is. Raises ConflictError."""

    async def move(self, offsets: Mapping[Place, int]) -> None:
        """Set the next offset of each partition."""


class Store(Protocol):
    """The tables, as the sink needs them.

    Whatever raises one of `errors.TRANSIENT` may work when it is tried again; when it ends a
    transaction, the outcome is unknown.
    """

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Begin; commit at the end, roll back on an error."""

    async def positions(self) -> dict[Place, int]:
        """Return the next offset of each partition that has begun."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    place: Place
    offset: int
    rows: list[tuple[str, Row]]
    trades: Inbound | None = None


class Sink:
    """Writes batches, each with the offsets it moves in one transaction.

    It waits for ever for a database that is down, and says so; whatever else goes wrong is raised.

    Args:
        store: The tables.
        report: Told in a sentence what the sink waits for, and "" when it no longer does.
        sleep: Waits so many seconds.
        pauses: Makes the seconds to wait between tries.
        now: The time, for the sentence.
    """

    def __init__(
        self,
        store: Store,
        report: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        pauses: Callable[[], Iterator[float]] = delays,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._report = report
        self._sleep = sleep
        self._pauses = pauses
        self._now = now

    async def positions(self) -> dict[Place, int]:
        """Return where to read on: the first offset of each partition that is not stored yet."""
        return await self._patiently(self._store.positions)

    async def start(self, place: Place, offset: int, held: int = 0) -> None:
        """Begin at `offset` where the log no longer has what comes next, at `held`.

        No effect where the database holds the partition up to somewhere else.
        """

        async def attempt() -> None:
            async with self._store.transaction() as transaction:
                found = await transaction.lock([place])
                if found[place] == held:
                    await transaction.move({place: offset})

        await self._patiently(attempt)

    async def glance(self) -> dict[Place, int] | None:
        """Return what `positions` does, but nothing where the database can't be asked now."""
        try:
            return await self._store.positions()
        except (*TRANSIENT, DatabaseRefusedError):
            return None

    async def write(self, batch: Sequence[Inbound | Skipped]) -> int:
        """Store a batch, of any partitions, each in offset order; return how many were new.

        What is stored already is left out. On return all of it is committed.

        Raises:
            HoleError: An offset was left out before one of the batch.
            ConflictError: A derived record met another one's row.
        """
        prepared = [_prepare(item) for item in batch]
        return await self._patiently(lambda: self._attempt(prepared)) if prepared else 0

    async def _attempt(self, prepared: Sequence[_Prepared]) -> int:
        async with self._store.transaction() as transaction:
            # Sorted, so that two sinks can't each wait for the other.
            held = await transaction.lock(sorted({item.place for item in prepared}))
            fresh, offsets = _unstored(prepared, held)
            for table, batch in _by_table(fresh).items():
                await transaction.insert(TABLES[table], batch)
            if fresh:
                await transaction.move(offsets)
        return len(fresh)

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        # After an error nothing is known about the outcome. Each attempt begins by reading the
        # offsets under a lock, so one that did commit leaves nothing for the next to do.
        since = ""
        for delay in self._pauses():
            try:
                result = await attempt()
            except TRANSIENT as error:
                since = since or f"{self._now():%Y-%m-%d %H:%M:%S} UTC"
                self._report(f"the database, since {since}: {error}")
            else:
                if since:
                    self._report("")
                return result
            await self._sleep(delay)
        raise AssertionError  # pauses never end


def _prepare(item: Inbound | Skipped) -> _Prepared:
    if isinstance(item, Inbound) and isinstance(item.record, Trades):
        return _Prepared((item.topic, item.partition), item.offset, [], item)
    made = rows(item) if isinstance(item, Inbound) else []
    return _Prepared((item.topic, item.partition), item.offset, made)


def _unstored(
    prepared: Sequence[_Prepared], held: Mapping[Place, int]
) -> tuple[list[_Prepared], dict[Place, int]]:
    offsets = dict(held)
    fresh = []
    for item in prepared:
        expected = offsets[item.place]
        if item.offset > expected:
            raise HoleError(item.place, expected, item.offset)
        if item.offset == expected:
            fresh.append(item)
            offsets[item.place] = expected + 1
    return fresh, offsets


def _by_table(prepared: Sequence[_Prepared]) -> dict[str, Sequence[Row]]:
    tables: dict[str, list[Row]] = {}
    for item in prepared:
        for table, row in item.rows:
            tables.setdefault(table, []).append(row)
    trades = [item.trades for item in prepared if item.trades is not None]
    return {TRADES: TradeRows(trades), **tables} if trades else {**tables}
