"""The tables of a run, or of a fork of them, enter; cuts of the run and what entered it leave.

A snapshot stands exactly at 00:00 UTC, and so do those of the other stages, so all that can be on
its way between them is orders, and a candle's revision. Both can be put together again from their
rows; where anything else would be missing, an older day is taken, and at last the beginning.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import orjson

from app.core.events import (
    Candle,
    Identity,
    Message,
    Order,
    OrderKind,
    Orders,
    Output,
    Side,
    Snapshot,
)
from app.core.risk import RiskState
from app.core.tape import KEPT as REVISED
from app.errors import LockstepError
from app.forks.whatif_source import Recorded
from app.pipeline import STAGES
from app.replay.cut import Cut, KeyState
from app.replay.explain.archive import Archive
from app.replay.explain.from_tables import TableArchive
from app.replay.explain.row import Row, row_of
from app.replay.sources import tables
from app.replay.sources.entering import Chunks
from app.replay.sources.snapshots import Range, ranges_of, state_of
from app.storage.database import Database, DatabaseSettings
from app.storage.tables import COLUMNS
from app.storage.values import instant

DAYS = 4
"""How many midnights before a moment are looked at."""

MOST = 2_000
"""Orders of one instrument and account that may have been on their way: more than in a day."""

SNAPSHOTS = """
SELECT * FROM snapshots WHERE time IN (
    SELECT DISTINCT time FROM snapshots WHERE time < $1 ORDER BY time DESC LIMIT $2
) ORDER BY time, topic_offset
"""
REACHED = "SELECT max(time) FROM portfolio"
ORDERS = """
SELECT * FROM orders WHERE account = $1 AND instrument = $2 AND time >= $3 ORDER BY time, strategy
"""
BOOKED = "SELECT * FROM bookings WHERE account = $1 AND instrument = $2 AND time >= $3"
EPOCH_AT = "SELECT epoch FROM portfolio WHERE account = $1 AND time = $2"
CANDLES = "SELECT * FROM candles WHERE identity = ANY($1) AND time >= $2 ORDER BY topic_offset"
CLOSED = """
SELECT origin FROM candles WHERE instrument = $1 AND time = $2 AND revision = 0
"""
TRADE = "SELECT min(time) AS time FROM trades WHERE instrument = $1 AND trade_id = $2"


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables of a run; can be handed to another process, which has the same settings."""

    settings: DatabaseSettings

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Recorded]:
        """Connect; raises UnreachableError."""
        async with Database(self.settings) as database:
            yield RecordedTables(database)

    def __reduce__(self) -> tuple[Any, ...]:
        if not isinstance(self.settings.ssl, ssl.SSLContext):
            return Tables, (self.settings,)
        # It can't be handed on; the settings say how it was made.
        return _again, (replace(self.settings, ssl=False),)


def _again(settings: DatabaseSettings) -> Tables:
    from app.config import load  # noqa: PLC0415 - in another process only

    return Tables(replace(settings, ssl=load().database.encryption()))


class RecordedTables:
    """A run as its tables have it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def nearest(self, time: int) -> Cut | None:
        """Return the cut of the newest midnight before a time; see `Recorded`."""
        snapshots = await self._snapshots(time)
        for midnight in sorted({each.time for each in snapshots}, reverse=True):
            newest = {(each.stage, each.key): each for each in snapshots if each.time <= midnight}
            states = tuple(_states(newest.values()))
            if not await self._closed_before(states, time):
                continue
            outputs = await self._in_flight(states)
            if outputs is not None:
                return Cut(states, tuple(outputs))
        return None

    async def reached(self) -> int | None:
        """Return the newest decision time of any account; see `Recorded`."""
        newest = await self._database.fetchval(REACHED)
        return None if newest is None else row_of("portfolio", {"time": newest}).time

    def entering(self, start: Cut | None, moments: Sequence[int]) -> Chunks:
        """Yield what entered the run; see `Recorded`."""
        return tables.entering(self._database, moments, start)

    def archive(self) -> Archive:
        """Return what explains its records."""
        return TableArchive(self._database)

    async def _snapshots(self, time: int) -> list[Snapshot]:
        try:
            found = await self._database.fetch(SNAPSHOTS, instant(time), DAYS)
        except asyncpg.UndefinedTableError as error:
            settings = self._database.settings
            raise LockstepError(
                f"the schema {settings.schema} of the database at {settings.place} has no tables "
                f"yet: run `lockstep migrate`."
            ) from error
        known = {stage.name for stage in STAGES}
        rows = [row_of("snapshots", _columns("snapshots", each)) for each in found]
        return [_snapshot(row) for row in rows if row["stage"] in known]

    async def _closed_before(self, states: Sequence[KeyState], time: int) -> bool:
        """Tell whether every candle of a cut was closed by what entered before a time.

        A silent instrument's interval is closed by whatever comes next, however late.
        """
        for state in states:
            if state.stage == "candles" and await self._closing(state) >= time:
                return False
        return True

    async def _closing(self, state: KeyState) -> int:
        """Return the time of the record that closed an instrument's last candle."""
        found = await self._database.fetch(CLOSED, state.key, instant(state.time))
        kind, _, name = str(found[0]["origin"] if found else "").partition("/")
        number = name.rpartition("/")[2]
        if kind != "trades":
            return int(number) if kind == "clock" else state.time
        (row,) = await self._database.fetch(TRADE, state.key, int(number))
        return row_of("trades", {"time": row["time"]})["time"] if row["time"] else state.time

    async def _in_flight(self, states: Sequence[KeyState]) -> list[Output] | None:
        """Return what was on its way; none where it can't be put together."""
        by_key = {(state.stage, state.key): state for state in states}
        outputs: list[Output] = []
        for (topic, key), senders in ranges_of(STAGES, states).items():
            for sender, numbers in senders.items():
                stage, source = sender.split("/")
                found = None
                if topic == "orders":
                    found = await self._orders(by_key, source, key, numbers)
                elif topic == "candles":
                    found = await self._candles(by_key[stage, source], numbers)
                if found is None:
                    return None
                outputs += found
        return outputs

    async def _orders(
        self, states: Mapping[tuple[str, str], KeyState], account: str, key: str, numbers: Range
    ) -> list[Output] | None:
        """Return orders; none where one can't be dated.

        A record without an order has no row, but what booked it has, and names it.
        """
        risk, execution = states["risk", account], states.get(("execution", key))
        if execution is None or numbers.high - numbers.low > MOST:
            return None
        asked = (account, key, instant(execution.time))
        booked = {row["origin"]: row for row in await self._database.fetch(BOOKED, *asked)}
        rows = await self._database.fetch(ORDERS, *asked)
        outputs = []
        for number in range(numbers.low + 1, numbers.high + 1):
            identity = Identity("risk", account, key, number)
            known = booked.get(str(identity))
            if known is None and number < numbers.high:
                return None
            # What nobody has booked yet is the last there is.
            time = risk.time if known is None else _ordered_at(known, risk)
            placed = tuple(_order(row) for row in rows if row["identity"] == str(identity))
            epoch = await self._database.fetchval(EPOCH_AT, account, instant(time))
            if epoch is None:
                return None
            record = Orders(account, key, time, epoch, placed)
            # Nothing that follows names what caused it.
            outputs.append(Output("orders", key, Message(record, identity, str(identity))))
        return outputs

    async def _candles(self, state: KeyState, numbers: Range) -> list[Output] | None:
        """Return candles, or revisions of them; none where any of the numbers is not one."""
        names = [
            str(Identity("candles", state.key, state.key, number))
            for number in range(numbers.low + 1, numbers.high + 1)
        ]
        if len(names) > REVISED:
            return None
        since = instant(max(state.time - tables.LATEST, 0))
        found = await self._database.fetch(CANDLES, names, since)
        rows = {row["identity"]: row for row in found}
        if sorted(rows) != sorted(names):
            return None
        return [_candle(row_of("candles", _columns("candles", rows[name]))) for name in names]


def _states(snapshots: Iterable[Snapshot]) -> Iterator[KeyState]:
    by_name = {stage.name: stage for stage in STAGES}
    for snapshot in snapshots:
        yield state_of(by_name[snapshot.stage], snapshot)


def _ordered_at(booked: Any, risk: KeyState) -> int:
    """Return the decision time of the orders that were booked through the end of its interval."""
    body = risk.body
    assert isinstance(body, RiskState)  # noqa: S101 - of its stage
    interval = next(iter(body.epochs.values())).interval
    return row_of("bookings", {"time": booked["time"]}).time - interval


def _columns(table: str, row: Any) -> dict[str, Any]:
    return {name: row[name] for name in COLUMNS[table]}


def _snapshot(row: Row) -> Snapshot:
    return Snapshot(
        stage=row["stage"],
        key=row["key"],
        version=row["version"],
        time=row["time"],
        needs=orjson.loads(row["needs"]),
        body=row["body"],
    )


def _order(row: Any) -> Order:
    return Order(
        order_id=row["order_id"],
        strategy=row["strategy"],
        side=Side(row["side"]),
        kind=OrderKind(row["kind"]),
        quantity=row["quantity"],
        limit_price=row["limit_price"],
        stop_price=row["stop_price"],
        signal=row["signal"],
    )


def _candle(row: Row) -> Output:
    names = ("instrument", "interval_ms", "time", "open", "high", "low", "close", "volume",
             "quote_volume", "taker_buy_volume", "trades", "first_id", "last_id", "complete",
             "age_ms", "revision")  # fmt: skip
    record = Candle(*(row[name] for name in names))
    message = Message(record, Identity.parse(row["identity"]), row["origin"])
    return Output("candles", record.instrument, message)
