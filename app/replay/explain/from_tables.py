"""The tables that the sink keeps enter; the rows that an explanation wants leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from app.errors import LockstepError
from app.replay.explain.archive import Wanted, ordered
from app.replay.explain.row import SOURCES, TIMELESS, Row, row_of
from app.storage.database import Database
from app.storage.tables import COLUMNS
from app.storage.values import instant

TRADES = """
SELECT * FROM trades WHERE instrument = $1 AND time >= $2 AND time < $3
    AND trade_id BETWEEN $4 AND $5
"""
GAPS = """
SELECT * FROM gaps WHERE instrument = $1 AND from_time < $3 AND to_time >= $2
    AND topic_offset <= $4
"""
TRADE = "SELECT * FROM trades WHERE instrument = $1 AND trade_id = $2 ORDER BY time LIMIT 1"
CLOCK = "SELECT * FROM clocks WHERE instrument = $1 AND time = $2"
NEVER = 2**62


class TableArchive:
    """The tables of a run; it writes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def rows(self, wanted: Sequence[Wanted]) -> list[Row]:
        """Return the rows that any of these want, by time and then by place, each once."""
        found: dict[tuple[object, ...], Row] = {}
        for one in wanted:
            for row in await self._fetch(one.table, *_query(one)):
                found.setdefault((row.table, *map(str, row.fields.values())), row)
        return ordered(list(found.values()))

    async def tape(self, candle: Row) -> list[Row]:
        """Return what a candle was made of: trades and gaps of its time, and what closed it."""
        instrument, stop = candle["instrument"], candle["time"]
        closing = await self._closing(instrument, candle["origin"].split("/"))
        span = (instrument, instant(stop - candle["interval_ms"]), instant(stop))
        trades: list[Row] = []
        if candle["trades"]:
            ids = (candle["first_id"], candle["last_id"])
            trades = await self._fetch("trades", TRADES, *span, *ids)
        until = closing[0]["topic_offset"] if closing else NEVER
        gaps = await self._fetch("gaps", GAPS, *span, until)
        return ordered([*trades, *gaps, *closing])

    async def _closing(self, instrument: str, origin: list[str]) -> list[Row]:
        if origin[0] == "trades":
            return await self._fetch("trades", TRADE, instrument, int(origin[2]))
        if origin[0] == "clock":
            return await self._fetch("clocks", CLOCK, instrument, instant(int(origin[2])))
        return []

    async def _fetch(self, table: str, query: str, *arguments: object) -> list[Row]:
        try:
            records = await self._database.fetch(query, *arguments)
        except asyncpg.UndefinedTableError as error:
            settings = self._database.settings
            raise LockstepError(
                f"the schema {settings.schema} of the database at {settings.place} has no tables "
                f"yet: run `lockstep migrate`."
            ) from error
        return [
            row_of(table, {name: record[name] for name in COLUMNS[table]}) for record in records
        ]


def _query(wanted: Wanted) -> tuple[Any, ...]:
    """Return a query and its arguments."""
    clauses, arguments = [f"{SOURCES[wanted.table][1]} = $1"], [wanted.key]
    values: list[object] = list(arguments)
    if wanted.table not in TIMELESS:
        column = "from_time" if wanted.table == "gaps" else "time"
        clauses.append(f"{column} BETWEEN $2 AND $3")
        values += [instant(wanted.first), instant(wanted.last)]
    for name, allowed in wanted.equal.items():
        values.append(list(allowed))
        clauses.append(f"{name} = ANY(${len(values)})")
    # Names of tables and columns are ours alone; what a person wrote is an argument.
    return f"SELECT * FROM {wanted.table} WHERE {' AND '.join(clauses)}", *values  # noqa: S608
