"""A broker and a database enter; how far each stage has come and what it waits for leaves."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from app.core.events import Progress, Record, StageState
from app.errors import LockstepError
from app.market.state import FeedState, OpenGap
from app.pipeline import EDGES, STAGES
from app.runtime.codec import decode, decode_state
from app.runtime.connection import spoken
from app.runtime.ports import Place
from app.runtime.sink import SINK_TOPICS
from app.runtime.topics import MARKET_INPUT, STATE, Cluster, declared
from app.storage.database import Database, DatabaseSettings, Health
from app.storage.errors import DatabaseRefusedError

MARKET, SINK = EDGES
INPUTS: dict[str, tuple[str, ...]] = {
    MARKET: (MARKET_INPUT,),
    **{stage.name: stage.inputs for stage in STAGES},
    SINK: SINK_TOPICS,
}
"""What every stage reads, in flow order."""

PROGRESS = b"!progress"
WIDTH = 500  # of a state topic's newest records, at first
WIDEN = 16
NEWEST_CANDLE = """
SELECT max(newest.time) FROM (SELECT DISTINCT instrument FROM instruments) listed,
LATERAL (SELECT time FROM candles WHERE candles.instrument = listed.instrument
    ORDER BY time DESC LIMIT 1) newest
"""

Span = tuple[int, int]
"""The first offset that is there, and the one the next record will have."""


@dataclass(frozen=True, slots=True)
class StageStatus:
    """How far a stage has come.

    Attributes:
        stage: Its name.
        workers: The hosts of the workers that run it, one entry a worker; empty: nobody does.
        lag: Records that are there and not yet done with.
        time: The newest decision time of its keys, milliseconds since the epoch UTC; none yet: 0.
        waiting: What each key waits for; keys that wait for nothing but input are left out.
    """

    stage: str
    workers: tuple[str, ...]
    lag: int
    time: int
    waiting: dict[str, str]


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """How the database is.

    Attributes:
        problem: Why it can't be used, a sentence; empty when it can.
        health: Who answered; none where nobody did.
        positions: The next offset that the sink stores, by partition; none where not known.
        time: The newest candle stored, milliseconds since the epoch UTC; none: 0.
        refused: Whether it is there and won't let us in, which waiting doesn't mend.
    """

    problem: str
    health: Health | None = None
    positions: Mapping[Place, int] | None = None
    time: int = 0
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """Everything.

    Attributes:
        stages: In flow order.
        gaps: What market data still looks for, by instrument.
        dead_letters: Records on that topic.
        database: How it is.
        spans: What every partition holds.
        committed: The next offset of each partition that a stage reads, by stage.
    """

    stages: tuple[StageStatus, ...]
    gaps: dict[str, tuple[OpenGap, ...]]
    dead_letters: int
    database: DatabaseStatus
    spans: Mapping[Place, Span]
    committed: Mapping[str, Mapping[Place, int]]


@dataclass(frozen=True, slots=True)
class _Group:
    """A consumer group: its members' hosts, and what it has committed."""

    hosts: tuple[str, ...] = ()
    committed: Mapping[Place, int] = dataclasses.field(default_factory=dict)


async def status(cluster: Cluster, database: DatabaseSettings) -> Status:
    """Return how an installation is.

    Raises:
        UnreachableError: No broker answered; a database that doesn't is part of the answer.
        LockstepError: A topic is missing.
    """
    async with _clients(cluster) as (administrator, consumer):
        await _require_topics(administrator, cluster)
        groups, held = await asyncio.gather(_groups(administrator, cluster), ask(database))
        spans = await _spans(consumer, cluster.prefix, declared())
        told = await _told(consumer, cluster.prefix, spans)
    stages = [_stage(name, groups[name], spans, _records(told, name, Progress)) for name in INPUTS]
    stages[-1] = _with_database(stages[-1], spans, held)
    committed = {name: group.committed for name, group in groups.items()}
    letters = _count(spans, "dead-letters")
    return Status(tuple(stages), _gaps(told), letters, held, spans, committed)


async def ask(settings: DatabaseSettings) -> DatabaseStatus:
    """Return how the database is; without patience, and without an error."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            database = await stack.enter_async_context(
                Database(dataclasses.replace(settings, retry_for=0.0))
            )
            health = await database.health()
            return await _stored(database, health)
        except LockstepError as error:
            return DatabaseStatus(str(error), refused=isinstance(error, DatabaseRefusedError))


async def _stored(database: Database, health: Health) -> DatabaseStatus:
    try:
        rows = await database.fetch("SELECT topic, topic_partition, next_offset FROM sink_offsets")
        newest: datetime | None = await database.fetchval(NEWEST_CANDLE)
    except asyncpg.UndefinedTableError:
        schema = database.settings.schema
        return DatabaseStatus(f"schema {schema} has no tables yet: run `lockstep migrate`.", health)
    positions = {Place(topic, partition): offset for topic, partition, offset in rows}
    return DatabaseStatus("", health, positions, _milliseconds(newest))


def _milliseconds(moment: datetime | None) -> int:
    return 0 if moment is None else round(moment.timestamp() * 1000)


@contextlib.asynccontextmanager
async def _clients(
    cluster: Cluster,
) -> AsyncIterator[tuple[AIOKafkaAdminClient, AIOKafkaConsumer]]:
    administrator = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap, **cluster.security())
    consumer = AIOKafkaConsumer(
        bootstrap_servers=cluster.bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="none",
        fetch_max_wait_ms=100,
        **cluster.security(),
    )
    async with spoken(cluster.bootstrap, cluster.security()):
        try:
            await administrator.start()
            await consumer.start()
            yield administrator, consumer
        finally:
            await administrator.close()
            await consumer.stop()


async def _require_topics(administrator: AIOKafkaAdminClient, cluster: Cluster) -> None:
    there = set(await administrator.list_topics())
    for name in declared():
        if cluster.prefix + name not in there:
            raise LockstepError(
                f"there is no topic {cluster.prefix}{name}: run `lockstep topics create`, or set "
                f"kafka.prefix to that of your installation."
            )


async def _groups(administrator: AIOKafkaAdminClient, cluster: Cluster) -> dict[str, _Group]:
    found = await asyncio.gather(*(_group(administrator, cluster.prefix, n) for n in INPUTS))
    return dict(zip(INPUTS, found, strict=True))


async def _group(administrator: AIOKafkaAdminClient, prefix: str, stage: str) -> _Group:
    try:
        (answer,) = await administrator.describe_consumer_groups([prefix + stage])
        offsets = await administrator.list_consumer_group_offsets(prefix + stage)
    except GroupCoordinatorNotAvailableError:
        return _Group()  # a broker on which no group has ever been
    members = answer.groups[0][5]
    return _Group(
        tuple(sorted(member[2].removeprefix("/") for member in members)),
        {
            Place(partition.topic.removeprefix(prefix), partition.partition): committed.offset
            for partition, committed in offsets.items()
        },
    )


async def _spans(
    consumer: AIOKafkaConsumer, prefix: str, topics: Iterable[str]
) -> dict[Place, Span]:
    places = {
        TopicPartition(prefix + topic, number): Place(topic, number)
        for topic in topics
        for number in range(declared()[topic].partitions)
    }
    # All at once, or each topic that it has not met yet costs it a round of retries.
    await consumer._client.set_topics({place.topic for place in places})  # noqa: SLF001
    begins = await consumer.beginning_offsets(list(places))
    ends = await consumer.end_offsets(list(places))
    return {place: (begins[partition], ends[partition]) for partition, place in places.items()}


async def _told(
    consumer: AIOKafkaConsumer, prefix: str, spans: Mapping[Place, Span]
) -> dict[tuple[Place, bytes], bytes]:
    """Return the newest value of each key: of all market data's, of others' progress at least."""
    found: dict[tuple[Place, bytes], bytes] = {}
    width = WIDTH
    left = {place: span for place, span in spans.items() if place.topic.startswith(STATE)}
    while left:
        starts = {
            # Every instrument's state counts, not only the newest: any may have a gap open.
            place: begin if place.topic == STATE + MARKET else max(begin, end - width)
            for place, (begin, end) in left.items()
        }
        ends = {place: end for place, (_, end) in left.items()}
        found |= await _read(consumer, prefix, starts, ends)
        left = {
            place: span
            for place, span in left.items()
            if (place, PROGRESS) not in found and starts[place] > span[0]
        }
        width *= WIDEN
    return found


async def _read(
    consumer: AIOKafkaConsumer, prefix: str, starts: Mapping[Place, int], ends: Mapping[Place, int]
) -> dict[tuple[Place, bytes], bytes]:
    """Return the newest value of each key between offsets of several partitions."""
    found: dict[tuple[Place, bytes], bytes] = {}
    left = {
        TopicPartition(prefix + place.topic, place.partition): place
        for place, start in starts.items()
        if start < ends[place]
    }
    consumer.assign(list(left))
    for partition, place in left.items():
        consumer.seek(partition, starts[place])
    while left:
        batches = await consumer.getmany(*left, timeout_ms=1000)
        for partition, records in batches.items():
            place = left[partition]
            found |= {(place, record.key): record.value for record in records}
        # The position, not the last record: compaction leaves holes, also before the end.
        left = {
            partition: place
            for partition, place in left.items()
            if await consumer.position(partition) < ends[place]
        }
    return found


def _records(
    told: Mapping[tuple[Place, bytes], bytes], stage: str, kind: type[Record]
) -> list[Record]:
    records = [decode(value).record for (place, _), value in told.items()
               if place.topic == STATE + stage]  # fmt: skip
    return [record for record in records if isinstance(record, kind)]


def _stage(
    name: str, group: _Group, spans: Mapping[Place, Span], told: list[Record]
) -> StageStatus:
    progress = [record for record in told if isinstance(record, Progress)]
    waiting = {key: text for record in progress for key, text in record.waiting.items()}
    return StageStatus(
        stage=name,
        workers=group.hosts,
        lag=_lag(name, spans, group.committed),
        time=max((record.time for record in progress), default=0),
        waiting=dict(sorted(waiting.items())),
    )


def _lag(stage: str, spans: Mapping[Place, Span], done: Mapping[Place, int]) -> int:
    return sum(
        end - max(begin, done.get(place, begin))
        for place, (begin, end) in spans.items()
        if place.topic in INPUTS[stage]
    )


def _with_database(
    sink: StageStatus, spans: Mapping[Place, Span], held: DatabaseStatus
) -> StageStatus:
    """Return the sink's status as the database has it: what it committed only informs."""
    if held.positions is None:
        return dataclasses.replace(sink, waiting={"database": held.problem})
    return dataclasses.replace(sink, lag=_lag(SINK, spans, held.positions), time=held.time)


def _gaps(told: Mapping[tuple[Place, bytes], bytes]) -> dict[str, tuple[OpenGap, ...]]:
    states = [
        decode_state(FeedState, record.body)
        for record in _records(told, MARKET, StageState)
        if isinstance(record, StageState)
    ]
    return {state.instrument: state.gaps for state in states if state.gaps}


def _count(spans: Mapping[Place, Span], topic: str) -> int:
    return sum(end - begin for place, (begin, end) in spans.items() if place.topic == topic)
