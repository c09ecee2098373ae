"""A run's topics enter; the rows that an explanation wants leave.

Only the partitions that can hold them are read: an account's topics from their beginning, which is
one record a decision time, and `trades` from where a bisection by time finds the candle to begin.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import orjson

from app.core.events import Clock, Inbound, Message, Record, Trades
from app.errors import LockstepError
from app.replay.explain.archive import Wanted, ordered
from app.replay.explain.market import closing_of, trades_of
from app.replay.explain.row import SOURCES, TIMELESS, Row, rows_of
from app.replay.sources.topics import Recording
from app.runtime.codec import DecodeError, decode
from app.runtime.ports import Place, Stored
from app.storage.tables import TABLES

NEAR = 5_000
"""Records within which a bisection stops: reading on costs less than asking again."""


@dataclass(frozen=True, slots=True)
class _Floor:
    """Something that rises along a topic, and from which value on it is wanted."""

    measure: Callable[[Trades | Clock], int]
    value: int


Tell = Callable[[str, int, int], None]
"""Told of a scan: the partition, how many records were read, how many there are."""


class TopicArchive:
    """The topics of a run; it writes nothing.

    Args:
        recording: The topics.
        tell: Told how far a scan has come.
    """

    def __init__(self, recording: Recording, tell: Tell = lambda *_: None) -> None:
        self._recording = recording
        self._tell = tell

    async def rows(self, wanted: Sequence[Wanted]) -> list[Row]:
        """Return the rows that any of these want, by time and then by place, each once."""
        scans: dict[tuple[str, str], list[Wanted]] = {}
        for one in wanted:
            scans.setdefault((SOURCES[one.table][0], one.key), []).append(one)
        found: list[Row] = []
        for (topic, key), wants in scans.items():
            begin, first = await self._begin(topic, key, _floor(wants))
            made = await self._scan(topic, key, wants, begin)
            # Trades that came late may have led the bisection past what is wanted.
            again = begin > first and not made
            found += await self._scan(topic, key, wants, first) if again else made
        return ordered(found)

    async def tape(self, candle: Row) -> list[Row]:
        """Return what a candle was made of: trades and gaps of its time, and what closed it."""
        start = candle["time"] - candle["interval_ms"]
        begin, first = await self._begin("trades", candle["instrument"], _Floor(_time, start))
        found = await self._tape(candle, begin)
        _, exact = trades_of(candle, tuple(found))
        whole = exact and closing_of(candle, tuple(found)) is not None
        return found if whole or begin == first else await self._tape(candle, first)

    async def _scan(self, topic: str, key: str, wants: list[Wanted], begin: int) -> list[Row]:
        found: dict[tuple[str, ...], Row] = {}
        sought = len(wants) if all(_is_single(one) for one in wants) else None
        async for stored in self._records(topic, key, begin):
            for row in _rows(stored, wants):
                found.setdefault(_key(row), row)
            if len(found) == sought:
                break
        return list(found.values())

    async def _tape(self, candle: Row, begin: int) -> list[Row]:
        start, stop = candle["time"] - candle["interval_ms"], candle["time"]
        found: dict[tuple[str, ...], Row] = {}
        async for stored in self._records("trades", candle["instrument"], begin):
            rows = _all_rows(stored, start)
            closed = [row for row in rows if closes(row, candle["origin"])]
            for row in rows:
                if during(row, start, stop) or row in closed:
                    found.setdefault(_key(row), row)
            if closed:
                break
        return ordered(list(found.values()))

    async def _begin(self, topic: str, key: str, floor: _Floor | None) -> tuple[int, int]:
        """Return where to begin, and where the topic does; only trades are worth a bisection."""
        place, first, end = await self._place(topic, key)
        if topic != "trades" or floor is None:
            return first, first
        return max(await self._bisect(place, first, end, key, floor) - NEAR, first), first

    async def _place(self, topic: str, key: str) -> tuple[Place, int, int]:
        count = await self._recording.partitions(topic)
        place = Place(topic, self._recording.partition_for(key.encode(), count))
        return place, *await self._recording.bounds(place)

    async def _records(self, topic: str, key: str, begin: int = 0) -> AsyncIterator[Stored]:
        """Yield what stands under a key, from an offset on."""
        place, first, end = await self._place(topic, key)
        begin, raw = max(begin, first), key.encode()
        name = f"{topic}/{place.partition}"
        async with aclosing(_generator(self._recording.chunks(place, begin, end))) as chunks:
            async for chunk in chunks:
                if chunk:
                    self._tell(name, chunk[-1].offset + 1 - begin, end - begin)
                for stored in chunk:
                    if stored.key == raw:
                        yield stored

    async def _bisect(self, place: Place, low: int, high: int, key: str, floor: _Floor) -> int:
        """Return an offset before which a key has nothing from `floor` on.

        Trades come in the order of their ids and times, but for those that are late.
        """
        while high - low > NEAR:
            middle = (low + high) // 2
            found = await self._next(place, key, middle, high)
            if found is not None and floor.measure(found) < floor.value:
                low = middle
            else:
                high = middle
        return low

    async def _next(self, place: Place, key: str, begin: int, end: int) -> Trades | Clock | None:
        """Return a key's first trades or clock from an offset on."""
        raw = key.encode()
        async with aclosing(_generator(self._recording.chunks(place, begin, end))) as chunks:
            async for chunk in chunks:
                for stored in chunk:
                    message = _decoded(stored) if stored.key == raw else None
                    if message is not None and isinstance(message.record, Trades | Clock):
                        return message.record
        return None


def _time(record: Trades | Clock) -> int:
    return record.time[0] if isinstance(record, Trades) else record.time


def _id(record: Trades | Clock) -> int:
    return record.id[0] if isinstance(record, Trades) else record.last_id


def _floor(wants: list[Wanted]) -> _Floor | None:
    """Return what all that is wanted comes at or after; none where nothing is known."""
    time = min(one.first for one in wants)
    if time:
        return _Floor(_time, time)
    ids = [
        number
        for one in wants
        for number in one.equal.get("trade_id", ())
        if isinstance(number, int)
    ]
    return _Floor(_id, min(ids)) if len(ids) == len(wants) else None


def during(row: Row, start: int, stop: int) -> bool:
    """Return whether a trade or a gap lies in an interval, or touches it."""
    if row.table == "gaps":
        return bool(row["from_time"] < stop and row["to_time"] >= start)
    return row.table == "trades" and start <= row.time < stop


def closes(row: Row, origin: str) -> bool:
    """Return whether a row is the record that a candle names as its origin."""
    match row.table:
        case "trades":
            return origin == f"trades/{row['instrument']}/{row['trade_id']}"
        case "clocks":
            return origin == f"clock/{row['instrument']}/{row['time']}"
    return origin == row.fields.get("identity")


def _generator(chunks: AsyncIterator[list[Stored]]) -> Any:
    return chunks  # every implementation is a generator, which is left in the middle here


def _rows(stored: Stored, wants: list[Wanted]) -> Iterator[Row]:
    """Yield the rows of a record that are wanted; what can't be wanted is not decoded."""
    try:
        fields = orjson.loads(stored.value or b"")
    except ValueError:
        return
    if not isinstance(fields, dict):
        return
    wanted = [one for one in wants if _may_fit(fields, one)]
    for row in _all_rows(stored) if wanted else ():
        if any(one.table == row.table and one.fits(row) for one in wanted):
            yield row


def _all_rows(stored: Stored, start: int = 0) -> list[Row]:
    """Return the rows of a record; of trades or a clock that end before a time none."""
    message = _decoded(stored)
    if message is None or _ends_before(message.record, start):
        return []
    return rows_of(Inbound(message, stored.topic, stored.partition, stored.offset))


def _ends_before(record: Record, time: int) -> bool:
    if isinstance(record, Trades):
        return max(record.time) < time
    return isinstance(record, Clock) and record.time < time


def _may_fit(fields: dict[str, Any], wanted: Wanted) -> bool:
    if fields.get("type") not in SOURCES[wanted.table][2]:
        return False
    time = fields.get("time")
    if wanted.table not in TIMELESS and isinstance(time, int):
        timely = wanted.first <= time <= wanted.last
        if not timely:
            return False
    names = wanted.equal.get("identity")
    return names is None or "id" not in fields or fields["type"] == "epoch" or fields["id"] in names


def _decoded(stored: Stored) -> Message | None:
    try:
        return decode(stored.value)
    except DecodeError as error:
        if stored.topic in ("trades", "signals"):
            return None  # foreign bytes, which have their dead letter
        raise LockstepError(
            f"{stored.topic}/{stored.partition}/{stored.offset} can't be read: {error}. Look at it "
            f"with `lockstep topics read {stored.topic} --partition {stored.partition} --offset "
            f"{stored.offset}`."
        ) from error


def _is_single(wanted: Wanted) -> bool:
    """Return whether one record on `trades` is wanted, so that reading can stop there."""
    ids = wanted.equal.get("trade_id", ())
    return len(ids) == 1 or (wanted.table == "clocks" and wanted.first == wanted.last)


def _key(row: Row) -> tuple[str, ...]:
    """Return what a row is known by in its table: the first of a repeat stays."""
    return (row.table, *(str(row[column]) for column in TABLES[row.table].key))
