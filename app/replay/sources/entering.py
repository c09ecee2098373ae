"""Records of several partitions enter in pieces; all of them leave in event-time order."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import NamedTuple

from app.core.events import Clock, Message, Record, Trades


class Entering(NamedTuple):
    """A record that enters a pipeline from outside.

    Attributes:
        time: When it is due, milliseconds since the epoch UTC: by it, records of different
            partitions are put in order. In one partition it never falls.
        topic: The topic.
        key: Its key there.
        message: The record.
        offset: Where it stands: rises with every record of a key on a topic.
    """

    time: int
    topic: str
    key: str
    message: Message
    offset: int


_TIME = attrgetter("time")
Chunks = AsyncGenerator[list[Entering], None]
"""Records in pieces; whoever leaves before the end closes it."""


def own_time(record: Record) -> int:
    """Return the time of the newest fact in a record, 0 where it has none of the market."""
    if isinstance(record, Trades):
        return record.time[-1]
    return record.time if isinstance(record, Clock) else 0


def merged(lanes: Iterable[Iterable[Entering]]) -> Iterator[Entering]:
    """Yield the records of several partitions by time; at one time, in the order of the lanes."""
    return heapq.merge(*lanes, key=_TIME)


async def merged_chunks(lanes: Sequence[Chunks]) -> Chunks:
    """Yield the same of partitions that are read piece by piece; no more than a piece is held."""
    held: list[list[Entering]] = [[] for _ in lanes]
    open_ = dict.fromkeys(range(len(lanes)))
    while open_ or any(held):
        for number in list(open_):
            if not held[number]:
                held[number] = await anext(lanes[number], [])
                if not held[number]:
                    del open_[number]
        # What comes next of an open lane is no older than the last that is held of it.
        bound = min((held[number][-1].time for number in open_), default=None)
        ready = [_until(lane, bound) for lane in held]
        held = [lane[len(part) :] for lane, part in zip(held, ready, strict=True)]
        yield list(merged(ready))


def split(entering: Entering, moments: Sequence[int], reached: int = 0) -> Iterator[Entering]:
    """Yield a record in parts, so that each is wholly before a moment or from it on.

    How trades are packed makes no difference to any stage.

    Args:
        entering: The record.
        moments: Where to split, milliseconds since the epoch UTC.
        reached: The time of the record before it in its partition. What repeats or comes late
            lies on the side of that one: time never falls.
    """
    record = entering.message.record
    ahead = sorted(moment for moment in moments if moment > reached)
    if not isinstance(record, Trades) or not any(
        record.time[0] < moment <= record.time[-1] for moment in ahead
    ):
        yield entering
        return
    begin = 0
    for moment in ahead:
        end = next((n for n, time in enumerate(record.time) if time >= moment), len(record.time))
        if begin < end:
            part = _part(entering, record, begin, end)
            yield part._replace(time=max(part.time, reached))
            begin = end
    if begin < len(record.time):
        yield _part(entering, record, begin, len(record.time))


def _until(lane: list[Entering], bound: int | None) -> list[Entering]:
    return lane if bound is None else lane[: bisect_right(lane, bound, key=_TIME)]


def _part(entering: Entering, record: Trades, begin: int, end: int) -> Entering:
    names = ("id", "first_id", "last_id", "time", "price", "quantity", "buyer_maker")
    part = replace(record, **{name: getattr(record, name)[begin:end] for name in names})
    time = min(entering.time, part.time[-1]) if end < len(record.time) else entering.time
    return entering._replace(time=time, message=Message(part))
