"""A request enters; a replay is run, and what it read and made leaves as a report."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from app.config import Settings
from app.core.events import Account, Clock, Output, Trades
from app.errors import ConfigurationError
from app.market.importing import Dump, Manner, beginning
from app.pipeline import STAGES
from app.replay.cut import Cut
from app.replay.play import Span, pieces, play
from app.replay.sources import dumps
from app.replay.sources.entering import Chunks
from app.replay.writers.tally import Tally
from app.runtime.codec import decode, encode
from app.runtime.ports import Place
from app.times import format_time, parse_time

if TYPE_CHECKING:
    from app.replay.sources.kafka import KafkaRecording

_PLACE = re.compile(r"trades/(\d{1,4})/(\d{1,18})")


class Writer(Protocol):
    """Where a replay's records go."""

    def take(self, output: Output, raw: bytes) -> None:
        """Take a record, given its bytes on the wire."""

    async def flush(self) -> None:
        """Write what waits, where that can't be done at once."""

    async def close(self) -> None:
        """Write what is left: the replay is whole."""


Tell = Callable[[int, int], None]
"""Is told how many records have entered, and the time of the last, milliseconds."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be replayed.

    Attributes:
        dumps: These files; else the run of the configuration.
        accounts: Of the configuration, those that trade the files; empty: all.
        database: Whether the run is read from its tables, not its topics.
        start: A time, or a place trades/PARTITION/OFFSET; none: the beginning.
        end: The same; none: the end.
    """

    dumps: tuple[Dump, ...] = ()
    accounts: tuple[str, ...] = ()
    database: bool = False
    start: str | None = None
    end: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a replay read and made.

    Attributes:
        source: What it read: files, topics or tables.
        start: From when on its records count, milliseconds since the epoch UTC; none: all.
        end: Up to when.
        snapshot: The time of the snapshots it started from; none: it started at the beginning.
        records: How many records entered.
        seconds: How long it took.
        counts: Records made, by topic.
        digests: A hash of them by topic; equal where the same records were made.
        waiting: What stages still wait for at the end.
        notes: Sentences about the source.
    """

    source: str
    start: int | None
    end: int | None
    snapshot: int | None
    records: int
    seconds: float
    counts: dict[str, int]
    digests: dict[str, str]
    waiting: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Source:
    """What is fed, what of it counts, which time was asked for, and what is to be said of it."""

    name: str
    chunks: Chunks
    span: Span
    asked: Span
    start: Cut | None = None
    notes: tuple[str, ...] = ()


async def replay(
    settings: Settings, request: Request, writers: list[Writer], tell: Tell | None = None
) -> Report:
    """Run a replay and hand all that it makes to writers.

    Raises:
        LockstepError: The source can't be read; the sentence says why.
    """
    begun, tally, entered = time.monotonic(), Tally(), 0

    def collect(output: Output) -> None:
        raw = encode(output.message)
        tally.take(output, raw)
        for writer in writers:
            writer.take(output, raw)

    async def watch(count: int, moment: int) -> None:
        nonlocal entered
        entered = count
        for writer in writers:
            await writer.flush()
        if tell is not None:
            tell(count, moment)

    async with AsyncExitStack() as stack:
        source = await _source(settings, request, stack)
        engine = await play(
            STAGES, source.chunks, collect, start=source.start, span=source.span, watch=watch
        )
        for writer in writers:
            await writer.close()
    states = source.start.states if source.start else ()
    return Report(
        source.name,
        source.asked.start,
        source.asked.end,
        max((state.time for state in states), default=None),
        entered,
        round(time.monotonic() - begun, 3),
        tally.counts,
        tally.digests(),
        engine.waiting(),
        source.notes,
    )


async def _source(settings: Settings, request: Request, stack: AsyncExitStack) -> _Source:
    if request.dumps:
        return _files(settings, request)
    return await (_tables if request.database else _topics)(settings, request, stack)


def _files(settings: Settings, request: Request) -> _Source:
    """Read files: what is before the start is their history, as a live feed's."""
    manner = Manner(
        start=_moment(request.start),
        until=_moment(request.end),
        history_count=settings.market.history_count,
        flush_count=settings.market.flush_count,
        grace=settings.market.grace,
    )
    accounts = chosen(settings, request)
    records = dumps.entering(request.dumps, accounts, settings.interval, manner)
    late = (beginning(dump, settings.interval, manner.start) for dump in request.dumps)
    notes = tuple(note for note in late if note)
    asked = Span(manner.start, manner.until)
    return _Source("files", pieces(records), Span(), asked, notes=notes)


def chosen(settings: Settings, request: Request) -> list[Account]:
    """Return the accounts that trade; raises ConfigurationError for an unknown name."""
    known = {account.name: account for account in settings.accounts()}
    for name in request.accounts:
        if name not in known:
            raise ConfigurationError(
                f"there is no account {name!r} in the configuration, only {', '.join(known)}."
            )
    return [known[name] for name in request.accounts or known]


async def _topics(settings: Settings, request: Request, stack: AsyncExitStack) -> _Source:
    from app.replay.sources import snapshots, topics  # noqa: PLC0415 - load a Kafka client
    from app.replay.sources.kafka import KafkaRecording  # noqa: PLC0415

    recording = await stack.enter_async_context(KafkaRecording(settings.kafka))
    span = Span(*[await _when(recording, text) for text in (request.start, request.end)])
    cut = None
    if span.start is not None:
        cut = await snapshots.nearest(recording, STAGES, span.start)
    return _Source("topics", topics.entering(recording, cut, span.moments), span, span, cut)


async def _when(recording: KafkaRecording, text: str | None) -> int | None:
    """Return the time of a text, or of the first trade of the record at a place."""
    found = _PLACE.fullmatch(text or "")
    if found is None:
        return _moment(text)
    place, offset = Place("trades", int(found[1])), int(found[2])
    if place.partition < await recording.partitions(place.topic):
        first, end = await recording.bounds(place)
        if first <= offset < end:
            async for chunk in recording.chunks(place, offset, end):
                for stored in chunk:
                    record = decode(stored.value).record
                    if isinstance(record, Trades | Clock):
                        return record.time[0] if isinstance(record, Trades) else record.time
    raise ConfigurationError(
        f"there is no trade at {text}: `lockstep topics read trades` shows what stands where."
    )


async def _tables(settings: Settings, request: Request, stack: AsyncExitStack) -> _Source:
    from app.replay.sources import tables  # noqa: PLC0415 - loads a driver
    from app.storage.database import Database  # noqa: PLC0415

    database = await stack.enter_async_context(Database(settings.database.storage()))
    span = Span(_moment(request.start), _moment(request.end))
    return _Source("tables", tables.entering(database, span.moments), span, span)


def _moment(text: str | None) -> int | None:
    if text is None:
        return None
    if _PLACE.fullmatch(text):
        raise ConfigurationError(
            f"{text} is a place on a topic, but topics are not what is replayed: give a time, as "
            f"{format_time(0)}."
        )
    try:
        return parse_time(text)
    except ValueError as error:
        raise ConfigurationError(f"{error}, or trades/PARTITION/OFFSET.") from error
