"""A simulated database: transactions enter, tables with `sink_offsets` stand, errors leave.

It is as unhelpful as a real one: a COMMIT may be applied and not answered, or be applied when its
client is long gone; rows stay locked while a frozen client lives; deadlocks are broken.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from app.storage.errors import DatabaseBusyError, DatabaseUnavailableError
from app.storage.sink import ConflictError, Place
from app.storage.tables import TABLES, Table
from app.storage.values import Row
from tests.simulation.log import Point

SENT = "COMMIT: sent, not applied"
APPLIED = "COMMIT: applied, not answered"

LOST = DatabaseUnavailableError("08003: the connection was lost")
STARTING = DatabaseUnavailableError("57P03: the database system is starting up")
FULL = DatabaseBusyError("53100: the disk was full")
DEADLOCK = DatabaseBusyError("40P01: a deadlock was detected")
ERRORS = (LOST, STARTING, FULL, DEADLOCK)

Key = tuple[object, ...]
Lock = tuple[object, ...]


class Copy:
    """What the database holds at one moment."""

    def __init__(self, tables: dict[str, dict[Key, Row]], offsets: dict[Place, int]) -> None:
        self.tables = {name: dict(rows) for name, rows in tables.items()}
        self.offsets = dict(offsets)


class SimulatedDatabase:
    """The tables, shared by every client.

    Attributes:
        tables: Rows by primary key, by table.
        offsets: `sink_offsets`.
        commits: How many transactions were committed.
    """

    def __init__(self) -> None:
        self.tables: dict[str, dict[Key, Row]] = {name: {} for name in TABLES}
        self.offsets: dict[Place, int] = {}
        self.commits = 0
        self.locks: dict[Lock, SimulatedTransaction] = {}
        self._waits: dict[SimulatedTransaction, Lock] = {}
        self._open: list[SimulatedTransaction] = []

    def copy(self) -> Copy:
        return Copy(self.tables, self.offsets)

    def restore(self, copy: Copy) -> None:
        """Take an older copy's place; every connection is lost."""
        for transaction in list(self._open):
            self.end(transaction)
        again = Copy(copy.tables, copy.offsets)
        self.tables, self.offsets = again.tables, again.offsets

    def begin(self, client: object) -> SimulatedTransaction:
        transaction = SimulatedTransaction(self, client)
        self._open.append(transaction)
        return transaction

    def end(self, transaction: SimulatedTransaction) -> None:
        transaction.open = False
        self.locks = {lock: owner for lock, owner in self.locks.items() if owner != transaction}
        self._waits.pop(transaction, None)
        if transaction in self._open:
            self._open.remove(transaction)

    def lose(self, client: object, *, but_committing: bool) -> None:
        """Roll back what a client that is gone had begun, but for a COMMIT on its way."""
        for transaction in list(self._open):
            if transaction.client == client and not (transaction.committing and but_committing):
                self.end(transaction)

    async def lock(self, transaction: SimulatedTransaction, lock: Lock) -> None:
        """Take a lock as soon as nobody else has it; a circle is a deadlock."""
        while self.locks.get(lock, transaction) is not transaction:
            self._waits[transaction] = lock
            if self._is_circle(transaction):
                del self._waits[transaction]
                raise DEADLOCK
            await Point("lock: waits", lambda: lock not in self.locks or not transaction.open)
            self._waits.pop(transaction, None)
            transaction.check()
        self.locks[lock] = transaction

    def _is_circle(self, start: SimulatedTransaction) -> bool:
        at: SimulatedTransaction | None = start
        while at is not None:
            lock = self._waits.get(at)
            at = self.locks.get(lock) if lock is not None else None
            if at is start:
                return True
        return False

    def apply(self, transaction: SimulatedTransaction) -> None:
        transaction.check()
        for name, rows in transaction.rows.items():
            self.tables[name] |= rows
        self.offsets |= transaction.offsets
        self.commits += 1
        self.end(transaction)


class SimulatedTransaction:
    """One transaction of one client; see `app.storage.sink.Transaction`."""

    def __init__(self, database: SimulatedDatabase, client: object) -> None:
        self.client = client
        self.open = True
        self.committing = False
        self.rows: dict[str, dict[Key, Row]] = {}
        self.offsets: dict[Place, int] = {}
        self._database = database

    def check(self) -> None:
        if not self.open:
            raise LOST

    async def lock(self, places: Sequence[Place]) -> dict[Place, int]:
        await Point("lock")
        self.check()
        for number, place in enumerate(places):
            if number == 1:
                await Point("lock: in part")
                self.check()
            await self._database.lock(self, ("sink_offsets", *place))
        # Read after the lock, as SELECT … FOR UPDATE does.
        return {place: self._database.offsets.get(place, 0) for place in places}

    async def insert(self, table: Table, batch: Sequence[Row]) -> None:
        await Point("insert")
        self.check()
        indexes = [table.columns.index(column) for column in table.key]
        mine = self.rows.setdefault(table.name, {})
        for row in batch:
            key = tuple(row[index] for index in indexes)
            # A key that another transaction has inserted is waited for, until it ends.
            await self._database.lock(self, (table.name, *key))
            there = mine.get(key) or self._database.tables[table.name].get(key)
            if there is None:
                mine[key] = row
            elif table.derived and _identity(table, there) != _identity(table, row):
                raise ConflictError(f"{table.name} holds {there!r} where {row!r} belongs")

    async def move(self, offsets: Mapping[Place, int]) -> None:
        await Point("move")
        self.check()
        self.offsets |= offsets


def _identity(table: Table, row: Row) -> object:
    return row[table.columns.index("identity")]


class SimulatedStore:
    """One client's door to the database; see `app.storage.sink.Store`."""

    def __init__(self, database: SimulatedDatabase, client: object) -> None:
        self.database = database
        self._client = client

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        await Point("begin")
        transaction = self.database.begin(self._client)
        try:
            yield transaction
            transaction.committing = True
            await Point(SENT)
            self.database.apply(transaction)
            await Point(APPLIED)
        finally:
            # A client that is collected long after its death must not end anything.
            if transaction.open and not getattr(self._client, "dead", False):
                self.database.end(transaction)

    async def positions(self) -> dict[Place, int]:
        await Point("positions")
        return dict(self.database.offsets)
