"""The tables of a run enter; what entered the run from outside leaves, in event-time order.

The tables hold every such record with the place where it stood, so a replay of them is a replay
of the topics: trades of one record are told by their common offset, an epoch is put together from
`instruments` and `accounts`, and a command acts at the first decision time of which a signal
stands behind it. What stood twice on the topics is stored once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

import asyncpg
import orjson

from app.core.decimals import plain
from app.core.events import (
    Action,
    Clock,
    Command,
    Epoch,
    Gap,
    History,
    Join,
    Leave,
    Message,
    Record,
    Series,
    Trades,
)
from app.errors import LockstepError
from app.replay.cut import Cut, KeyState
from app.replay.engine import command_offset
from app.replay.sources.entering import Chunks, Entering, merged_chunks, own_time, split
from app.runtime.codec import decode
from app.storage.database import Database
from app.storage.values import EPOCH, instant

PIECE = 5_000

LONGEST = 86_400.0
"""Seconds until an answer is given up."""

LATEST = 86_400_000
"""Milliseconds: no trade that comes later than that changes anything."""

INSTRUMENTS = "SELECT DISTINCT instrument FROM instruments ORDER BY instrument"
EPOCHS = """
SELECT i.*, a.configuration FROM instruments i
LEFT JOIN accounts a ON a.account = i.account AND a.epoch = i.epoch
WHERE i.instrument = $1
"""
MEMBERSHIPS = "SELECT * FROM memberships WHERE instrument = $1"
HISTORY = "SELECT * FROM history WHERE instrument = $1 ORDER BY topic_offset, time"
GAPS = "SELECT * FROM gaps WHERE instrument = $1"
CLOCKS = """
SELECT * FROM clocks WHERE instrument = $1 AND topic_offset >= $2 AND time >= $3
ORDER BY topic_offset
"""
TRADES = """
SELECT * FROM trades WHERE instrument = $1 AND topic_offset >= $2 AND time >= $3
ORDER BY topic_offset, trade_id
"""
COMMANDS = """
SELECT c.*, (
    SELECT min(s.time) FROM signals s
    WHERE s.account = c.account AND s.topic_offset > c.topic_offset
) AS acts FROM commands c ORDER BY c.topic_offset
"""

Row = Any
Placed = tuple[int, Record]


class Begin(NamedTuple):
    """From where on an instrument is read."""

    offset: int
    time: datetime


async def entering(
    database: Database, moments: Sequence[int] = (), start: Cut | None = None
) -> Chunks:
    """Yield all that entered a run from outside, as the tables have it.

    Args:
        database: The tables of one run.
        moments: Records of trades are split at these times, milliseconds since the epoch UTC.
        start: Where the engine starts that is fed; what its states are past is left out.

    Raises:
        LockstepError: The tables are not there, or hold an epoch without its account.
    """
    try:
        async with database.transaction("repeatable_read") as connection:
            # One statement may sort all trades there are, and of a quiet market what one fetch
            # brings may be decided on for longer than any other transaction may be idle.
            await connection.execute("SET LOCAL statement_timeout = 0")
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            names = [row["instrument"] for row in await connection.fetch(INSTRUMENTS)]
            states = start.states if start else ()
            acted = {state.key: state.time for state in states if state.stage == "portfolio"}
            begins = _begins(start)
            lanes: list[Chunks] = [_commands(connection, acted)]
            lanes += [
                _lane(connection, name, moments, begins.get(name, Begin(0, EPOCH)))
                for name in names
            ]
            async for chunk in merged_chunks(lanes):
                yield chunk
    except asyncpg.UndefinedTableError as error:
        raise LockstepError(
            f"the schema {database.settings.schema} of the database at {database.settings.place} "
            f"has no tables yet: run `lockstep migrate`."
        ) from error


def _begins(start: Cut | None) -> dict[str, Begin]:
    """Return what the states of a cut need, by instrument."""
    states = [state for state in (start.states if start else ()) if "trades" in state.needs]
    found: dict[str, list[KeyState]] = {}
    for state in states:
        found.setdefault(state.key, []).append(state)
    return {
        name: Begin(
            min(each.needs["trades"] for each in every),
            instant(max(min(each.time for each in every) - LATEST, 0)),
        )
        for name, every in found.items()
        if len(every) > 1  # candles and execution both: else it is read from its beginning
    }


async def _commands(connection: asyncpg.Connection, acted: Mapping[str, int]) -> Chunks:
    found = [
        Entering(
            _milliseconds(row["acts"]),
            "signals",
            row["account"],
            Message(_command(row)),
            command_offset(_milliseconds(row["acts"]), number),
        )
        for number, row in enumerate(await connection.fetch(COMMANDS))
        if row["acts"] is not None and _milliseconds(row["acts"]) > acted.get(row["account"], 0)
    ]
    if found:
        yield sorted(found)


async def _lane(
    connection: asyncpg.Connection, name: str, moments: Sequence[int], begin: Begin
) -> Chunks:
    """Yield one instrument's records in the order of their offsets."""
    epochs = [(row["topic_offset"], _epoch(row)) for row in await connection.fetch(EPOCHS, name)]
    members = [
        (row["topic_offset"], _member(row)) for row in await connection.fetch(MEMBERSHIPS, name)
    ]
    histories = list(_histories(await connection.fetch(HISTORY, name)))
    few = [
        *epochs,
        *members,
        *histories,
        *_again(epochs, members, histories),
        *[(row["topic_offset"], _gap(row)) for row in await connection.fetch(GAPS, name)],
    ]
    parts = [
        _few(sorted((one for one in few if one[0] >= begin.offset), key=lambda one: one[0])),
        _rows(connection, CLOCKS, (name, *begin), lambda rows: [_clock(row) for row in rows]),
        _rows(connection, TRADES, (name, *begin), lambda rows: [_trades(rows)]),
    ]
    time = 0
    async for chunk in merged_chunks([_by_offset(part, name) for part in parts]):
        found: list[Entering] = []
        for one in chunk:
            reached, time = time, max(time, own_time(one.message.record))
            found += split(one._replace(time=time), moments, reached)
        if found:
            yield found


async def _by_offset(part: AsyncIterator[list[Placed]], name: str) -> Chunks:
    """Yield records that are put in order by their offsets in place of their times."""
    async for placed in part:
        yield [
            Entering(offset, "trades", name, Message(record), offset) for offset, record in placed
        ]


async def _few(placed: list[Placed]) -> AsyncIterator[list[Placed]]:
    if placed:
        yield placed


async def _rows(
    connection: asyncpg.Connection,
    query: str,
    wanted: tuple[object, ...],
    make: Callable[[list[Row]], list[Record]],
) -> AsyncIterator[list[Placed]]:
    """Yield the records of a table, made of the rows of one offset each."""
    cursor = await connection.cursor(query, *wanted, timeout=LONGEST)
    rest: list[Row] = []
    while rows := await cursor.fetch(PIECE, timeout=LONGEST):
        rows = rest + rows
        # The last offset's rows may go on in the next piece.
        last = rows[-1]["topic_offset"]
        whole = [row for row in rows if row["topic_offset"] != last]
        rest = rows[len(whole) :]
        if whole:
            yield list(_grouped(whole, make))
    if rest:
        yield list(_grouped(rest, make))


def _grouped(rows: list[Row], make: Callable[[list[Row]], list[Record]]) -> Iterable[Placed]:
    for offset, group in groupby(rows, key=lambda row: row["topic_offset"]):
        for record in make(list(group)):
            yield int(offset), record


def _trades(rows: list[Row]) -> Trades:
    def column(name: str) -> tuple[Any, ...]:
        return tuple(row[name] for row in rows)

    return Trades(
        instrument=rows[0]["instrument"],
        id=column("trade_id"),
        first_id=column("first_id"),
        last_id=column("last_id"),
        time=tuple(_milliseconds(row["time"]) for row in rows),
        price=column("price"),
        quantity=column("quantity"),
        buyer_maker=column("buyer_maker"),
        age=rows[0]["age_ms"],
    )


def _clock(row: Row) -> Clock:
    return Clock(row["instrument"], _milliseconds(row["time"]), row["last_id"], row["age_ms"])


def _gap(row: Row) -> Gap:
    times = (_milliseconds(row["from_time"]), _milliseconds(row["to_time"]))
    return Gap(row["instrument"], row["first_id"], row["last_id"], *times, row["reason"])


def _member(row: Row) -> Join | Leave:
    start = (row["instrument"], row["account"], row["epoch"], _milliseconds(row["time"]))
    if row["kind"] == Leave.TYPE:
        return Leave(*start, row["reason"])
    return Join(*start, row["next_id"], Series(row["series"]))


def _command(row: Row) -> Command:
    action = Action(row["action"])
    return Command(row["account"], row["command_id"], action, row["given_by"], row["reason"])


def _histories(rows: list[Row]) -> Iterable[Placed]:
    for offset, group in groupby(rows, key=lambda row: row["topic_offset"]):
        bars = list(group)
        names = ("open", "high", "low", "close", "volume")
        columns = [tuple(bar[name] for bar in bars) for name in names]
        times = tuple(_milliseconds(bar["time"]) for bar in bars)
        yield int(offset), History(bars[0]["instrument"], bars[0]["interval_ms"], times, *columns)


def _again(
    epochs: Iterable[Placed], members: Iterable[Placed], histories: Sequence[Placed]
) -> Iterable[Placed]:
    """Yield the histories that stood again, each for another account that joined.

    Accounts that join at one time warm up on the same candles: one name, so the tables hold the
    first alone. Between an epoch and its join nothing but that stands.
    """
    begun = {
        (record.account.name, record.number): offset
        for offset, record in epochs
        if isinstance(record, Epoch)
    }
    for offset, record in members:
        begin = begun.get((record.account, record.epoch)) if isinstance(record, Join) else None
        if begin is None or offset - begin == 1 or any(begin < at < offset for at, _ in histories):
            continue
        before = [history for at, history in histories if at < begin]
        if before:
            yield begin + 1, before[-1]


def _epoch(row: Row) -> Record:
    if row["configuration"] is None:
        raise LockstepError(
            f"the tables hold {row['identity']} but not that configuration of {row['account']}: "
            f"the sink has not come so far; wait until `lockstep status` shows no lag, try again."
        )
    rules = ("tick_size", "lot_size", "minimum_quantity", "minimum_notional")
    document = {
        "type": "epoch",
        "instrument": row["instrument"],
        "account": orjson.loads(row["configuration"]),
        "number": row["epoch"],
        "filters": {name: plain(row[name]) for name in rules},
        "base": row["base"],
        "interval": row["interval_ms"],
        "version": row["version"],
    }
    return decode(orjson.dumps(document)).record


def _milliseconds(moment: datetime) -> int:
    elapsed = moment - EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000 + elapsed.microseconds // 1_000
