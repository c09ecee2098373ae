"""A run's topics enter; the rows that an explanation wants leave.

Only what can hold them is read: the partition of their key, and of that what lies between where a
search by halves finds them to begin and where their senders have passed them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from app.core.events import Clock, Inbound, Message, Record, Trades
from app.errors import LockstepError
from app.replay.explain.archive import Wanted, ordered
from app.replay.explain.market import closing_of, trades_of
from app.replay.explain.row import SOURCES, TIMELESS, Row, rows_of
from app.replay.explain.ways import TICKS, Passage, way_to
from app.replay.sources.bisection import bisected
from app.replay.sources.topics import Recording
from app.runtime.codec import DecodeError, decode
from app.runtime.ports import Place, Stored
from app.storage.tables import TABLES

NEAR = 2_000
"""Records within which a search by halves stops, and by which reading begins before: records that
stand twice and trades that came late."""

HELD = 100
"""Candles after the one that trades were searched for, until they are searched for again."""

_TYPE = b'{"type":"'


@dataclass(frozen=True, slots=True)
class _Floor:
    """Something that rises along a topic, and from which value on it is wanted."""

    measure: Callable[[Trades | Clock], int]
    value: int

    def below(self, stored: Stored, key: bytes) -> bool | None:
        """Tell whether a key's trades or clock come before it; none of any other record."""
        message = _decoded(stored) if stored.key == key else None
        if message is None or not isinstance(message.record, Trades | Clock):
            return None
        return self.measure(message.record) < self.value


@dataclass(slots=True)
class _Held:
    """Trades of an instrument that were read; the candles of a bar are asked for one by one.

    Attributes:
        start: The time they were searched for, milliseconds since the epoch UTC.
        next: The offset to read on from.
        whole: Whether the partition has nothing before them.
        inbound: What was read.
    """

    start: int
    next: int
    whole: bool = False
    inbound: list[Inbound] = field(default_factory=list)


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
        self._held: dict[str, _Held] = {}

    async def rows(self, wanted: Sequence[Wanted]) -> list[Row]:
        """Return the rows that any of these want, by time and then by place, each once."""
        scans: dict[tuple[str, str], list[Wanted]] = {}
        for one in wanted:
            scans.setdefault((SOURCES[one.table][0], one.key), []).append(one)
        found: list[Row] = []
        for (topic, key), wants in scans.items():
            read = self._entered if topic == "trades" else self._derived
            found += await read(topic, key, wants)
        return ordered(found)

    async def tape(self, candle: Row) -> list[Row]:
        """Return what a candle was made of: trades and gaps of its time, and what closed it."""
        start, length = candle["time"] - candle["interval_ms"], candle["interval_ms"]
        held = self._held.get(candle["instrument"])
        if held is None or not 0 <= start - held.start <= HELD * length:
            begin, first = await self._begin(candle["instrument"], _Floor(_time, start))
            held = _Held(start, begin, whole=begin == first)
            self._held[candle["instrument"]] = held
        found = await self._tape(candle, held)
        _, exact = trades_of(candle, tuple(found))
        whole = exact and closing_of(candle, tuple(found)) is not None
        return found if whole or held.whole else await self._tape(candle, _Held(start, 0))

    async def _entered(self, topic: str, key: str, wants: list[Wanted]) -> list[Row]:
        begin, first = await self._begin(key, _floor(wants))
        made = await self._scan(topic, key, wants, begin)
        # Trades that came late may have led the search past what is wanted.
        again = begin > first and not made
        return await self._scan(topic, key, wants, first) if again else made

    async def _derived(self, topic: str, key: str, wants: list[Wanted]) -> list[Row]:
        way = way_to(wants)
        place, first, end = await self._place(topic, key)
        if way is None:
            return await self._scan(topic, key, wants, first)
        begin, late = (first, []) if not way.first else (end, list(way.senders[:1]))
        while True:
            for sender in late:
                below = partial(way.below, key=key.encode(), sender=sender)
                at = await bisected(self._recording, place, first, begin, below, near=NEAR)
                begin = min(begin, max(at - NEAR, first))
            passage = Passage(way)
            made = await self._scan(topic, key, wants, begin, passage)
            late = passage.late()
            if begin == first or not late:
                return made

    async def _scan(
        self,
        topic: str,
        key: str,
        wants: list[Wanted],
        begin: int,
        passage: Passage | None = None,
    ) -> list[Row]:
        found: dict[tuple[str, ...], Row] = {}
        sought = len(wants) if all(_is_single(one) for one in wants) else None
        types = {each.encode() for one in wants for each in SOURCES[one.table][2]}
        if passage is not None:
            types.add(TICKS[topic].encode())
        async for stored in self._records(topic, key, begin):
            fields = _fields(stored, types)
            if passage is not None:
                passage.take(fields)
            for row in _rows(stored, fields, wants):
                found.setdefault(_key(row), row)
            if len(found) == sought or (passage is not None and passage.over):
                break
        return list(found.values())

    async def _tape(self, candle: Row, held: _Held) -> list[Row]:
        start, stop = candle["time"] - candle["interval_ms"], candle["time"]
        found: dict[tuple[str, ...], Row] = {}
        async for inbound in self._inbound(candle["instrument"], held):
            rows = [] if _ends_before(inbound.record, start) else rows_of(inbound)
            closed = [row for row in rows if closes(row, candle["origin"])]
            for row in rows:
                if during(row, start, stop) or row in closed:
                    found.setdefault(_key(row), row)
            if closed:
                break
        return ordered(list(found.values()))

    async def _inbound(self, key: str, held: _Held) -> AsyncIterator[Inbound]:
        """Yield what is held of an instrument's trades, then what stands behind it."""
        for inbound in held.inbound:
            yield inbound
        async for stored in self._records("trades", key, held.next):
            held.next = stored.offset + 1
            message = _decoded(stored)
            if message is not None:
                inbound = Inbound(message, stored.topic, stored.partition, stored.offset)
                held.inbound.append(inbound)
                yield inbound

    async def _begin(self, key: str, floor: _Floor | None) -> tuple[int, int]:
        """Return where to begin among trades, and where they do."""
        place, first, end = await self._place("trades", key)
        if floor is None:
            return first, first
        below = partial(floor.below, key=key.encode())
        at = await bisected(self._recording, place, first, end, below, near=NEAR)
        return max(at - NEAR, first), first

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


def _fields(stored: Stored, types: set[bytes]) -> dict[str, Any]:
    """Return a record's fields as JSON has them; nothing of foreign bytes and other types."""
    value = stored.value or b""
    if value.startswith(_TYPE) and value[len(_TYPE) :].split(b'"', 1)[0] not in types:
        return {}
    try:
        fields = orjson.loads(stored.value or b"")
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _rows(stored: Stored, fields: dict[str, Any], wants: list[Wanted]) -> Iterator[Row]:
    """Yield the rows of a record that are wanted; what can't be wanted is not decoded."""
    wanted = [one for one in wants if _may_fit(fields, one)]
    for row in _all_rows(stored) if wanted else ():
        if any(one.table == row.table and one.fits(row) for one in wanted):
            yield row


def _all_rows(stored: Stored) -> list[Row]:
    message = _decoded(stored)
    if message is None:
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
