"""Topics on a broker enter, read without a consumer group; their records leave by the bus.

Nothing here joins a group or commits, so nothing that happens here can be felt by a stage.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from app.dashboard.live.cursor import Cursor
from app.dashboard.live.placed import Placed, placed
from app.dashboard.live.prices import Prices
from app.dashboard.live.pulse import Pulse
from app.errors import LockstepError
from app.pipeline import EDGES
from app.runtime.bus import EventBus
from app.runtime.codec import DecodeError
from app.runtime.connection import spoken
from app.runtime.ports import Place
from app.runtime.topics import Cluster, declared
from app.storage.rows import PASSED_ON

log = structlog.get_logger()

TRADES = "trades"
STREAMED = (
    "candles",
    "signals",
    "portfolio",
    "allocations",
    "orders",
    "risk",
    "fills",
    "dead-letters",
    "forks",
)
"""What viewers get record by record; of `trades` they get prices."""

KEPT = 2_000
"""Records of each partition that are held for those who come back."""

FIRST_TRADES = 200
AT_ONCE = 500
WAIT_MS = 100
ENOUGH_BYTES = 131_072
"""A broker waits for so much, or `WAIT_MS`: else each trade would be a question and an answer."""

AGAIN_SECONDS = 1.0


class Follower:
    """Follows the topics from shortly before now on, as long as it runs.

    Attributes:
        problem: Why it does not follow, a sentence; None while it does.
        caught_up: Set once it has read to where the topics ended when it began.
        life: Counts how often it began anew, so that cursors of before mean nothing.
        last_of_topic, last_of_stage: When the newest record was appended, milliseconds since the
            epoch UTC.
        counts: Records read, by type.
        undecodable: Records that were none.
        takers: Get every record.

    Args:
        cluster: The broker.
        bus: Gets every streamed record.
        prices: Gets every record of `trades`.
        pulse: Is stirred by whatever came.
    """

    def __init__(self, cluster: Cluster, bus: EventBus, prices: Prices, pulse: Pulse) -> None:
        self._cluster, self._bus, self._prices, self._pulse = cluster, bus, prices, pulse
        self._next: dict[TopicPartition, int] = {}
        self._kept = {place: deque[Placed]() for place in _places(STREAMED)}
        self._whole: dict[Place, int] = {}
        self.life = 0
        self.caught_up = asyncio.Event()
        self._ends: dict[TopicPartition, int] = {}
        self.problem: str | None = "the topics have not been read yet"
        self.last_of_topic: dict[str, int] = {}
        self.last_of_stage: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self._unseen = 0
        self.takers: list[Callable[[Placed], None]] = []
        self.undecodable = 0

    @property
    def streamed(self) -> Sequence[Place]:
        """The partitions whose records viewers get."""
        return tuple(self._kept)

    def heads(self) -> dict[Place, int]:
        """Return the offset of each streamed partition that will be published next."""
        return {
            place: offset
            for partition, offset in self._next.items()
            if (place := self._place(partition)) in self._kept
        }

    def since(self, cursor: Cursor) -> list[Placed] | None:
        """Return what was published from a cursor on, oldest first; None where it is gone."""
        heads = self.heads()
        found: list[Placed] = []
        for place, start in cursor.items():
            kept = self._kept[place]
            # A cursor of the tables may be ahead: the sink was quicker. Far ahead is another log.
            if not self._whole.get(place, start + 1) <= start <= heads.get(place, -1) + KEPT:
                return None
            found += [message for message in kept if message.offset >= start]
        return sorted(found, key=lambda message: message.at)

    async def run(self) -> None:
        """Follow for ever; a broker that is away is come back to."""
        while True:
            try:
                async with spoken(self._cluster.bootstrap, self._cluster.security()):
                    await self._follow()
            except LockstepError as error:
                if self.problem != str(error):
                    log.warning("not following the topics", reason=str(error))
                self.problem = str(error)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._cluster.bootstrap,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_min_bytes=ENOUGH_BYTES,
            fetch_max_wait_ms=WAIT_MS,
            **self._cluster.security(),
        )
        try:
            await consumer.start()
            await self._begin(consumer)
            self.problem = None
            while True:
                self._take(await consumer.getmany(timeout_ms=WAIT_MS, max_records=AT_ONCE))
                await self._let_take()
        except OffsetOutOfRangeError as error:
            self._forget()
            raise LockstepError("a topic was made anew: it is read from its end again.") from error
        finally:
            await consumer.stop()

    async def _let_take(self) -> None:
        """Let viewers take their turn: of a burst, before it is more than their queues hold."""
        if self._unseen < AT_ONCE:
            await asyncio.sleep(0)
        else:
            await self._pulse.wait(self._pulse.count, AGAIN_SECONDS)
            self._unseen = 0

    async def _begin(self, consumer: AIOKafkaConsumer) -> None:
        """Assign every partition, where it was left or shortly before its end."""
        names = {self._cluster.prefix + topic for topic in (TRADES, *STREAMED)}
        await consumer._client.set_topics(names)  # noqa: SLF001 - else each costs a round of retries
        partitions = [
            TopicPartition(self._cluster.prefix + place.topic, place.partition)
            for place in _places((TRADES, *STREAMED))
        ]
        begins = await consumer.beginning_offsets(partitions)
        ends = await consumer.end_offsets(partitions)
        self._ends = ends
        consumer.assign(partitions)
        for partition in partitions:
            back = FIRST_TRADES if self._place(partition).topic == TRADES else KEPT
            start = max(begins[partition], ends[partition] - back)
            self._next[partition] = self._resumed(partition, start, ends[partition])
            consumer.seek(partition, self._next[partition])

    def _resumed(self, partition: TopicPartition, start: int, end: int) -> int:
        """Return where to go on: where it was left, unless that is far back or no more there."""
        left = self._next.get(partition, -1)
        if start <= left <= end:
            return left
        place = self._place(partition)
        if place in self._kept:
            self._kept[place].clear()
            self._whole[place] = start
        return start

    def _forget(self) -> None:
        """Begin anew: what was to come next has gone, as when a topic was made anew."""
        self.life += 1
        self._next.clear()
        for kept in self._kept.values():
            kept.clear()

    def _take(self, batches: Mapping[TopicPartition, list[ConsumerRecord]]) -> None:
        for partition, records in batches.items():
            place = self._place(partition)
            for record in records:
                self._next[partition] = record.offset + 1
                self._publish(place, record)
        if batches:
            self._pulse.stir()
        if not self.caught_up.is_set() and all(
            self._next[partition] >= end for partition, end in self._ends.items()
        ):
            self.caught_up.set()

    def _publish(self, place: Place, record: ConsumerRecord) -> None:
        self.last_of_topic[place.topic] = record.timestamp
        try:
            message = placed(place, record.offset, record.timestamp, record.value)
        except DecodeError:
            self.undecodable += 1  # a stage makes a dead letter of it, which comes by itself
            return
        kind = message.record.TYPE
        self.counts[kind] += 1
        self.last_of_stage[_stage(message)] = record.timestamp
        for take in self.takers:
            take(message)
        if place.topic == TRADES:
            self._prices.take(message)
        elif kind not in PASSED_ON:
            self._keep(message)
            self._unseen += bool(self._bus.publish(message))

    def _keep(self, message: Placed) -> None:
        kept = self._kept[message.place]
        kept.append(message)
        if len(kept) > KEPT:
            self._whole[message.place] = kept.popleft().offset + 1

    def _place(self, partition: TopicPartition) -> Place:
        return Place(partition.topic.removeprefix(self._cluster.prefix), partition.partition)


def _places(topics: Sequence[str]) -> list[Place]:
    return [
        Place(topic, number) for topic in topics for number in range(declared()[topic].partitions)
    ]


def _stage(message: Placed) -> str:
    """Return who made a record: its identity says so; what enters is market data's, or nobody's."""
    if message.identity is not None:
        return message.identity.stage
    return EDGES[0] if message.place.topic == TRADES else ""
