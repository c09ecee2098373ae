"""The Faust shell: what a consumer group reads enters an intake, whole batches at a time.

Faust gives the group, the worker and the agent. What it measurably loses is not used: no acks in
its bookkeeping (they skip offsets), no sends, no tables. The agent hands whole fetched batches to
an intake and commits the offsets that the intake names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import faust
import structlog
from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import GroupAuthorizationFailedError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import Message as FaustMessage
from mode import Service
from mode.utils.futures import maybe_async

from app.errors import UnreachableError
from app.runtime.failstop import exit_with
from app.runtime.faust_worker import App
from app.runtime.fetching import PROMPT, Asking, Fetching, hold
from app.runtime.pending import Pending
from app.runtime.ports import Intake, Place, Stored
from app.runtime.watchdog import Watchdog

log = structlog.get_logger()

REQUEST_TIMEOUT_MS = 40_000
COMMIT_SECONDS = 1.0
MOST_PENDING = 5_000  # records in memory beyond which reading waits,
MOST_BYTES = 2 * 1024 * 1024  # or so many bytes of them; decoded, small ones are four times as many


class _Client(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's Kafka client, but in the worker's own event loop instead of a thread a stage.

    Nine threads that wake for every fetch spend more on the interpreter's lock than on the work.
    What a thread would protect against, heartbeats that stop while the loop is busy, is bounded
    here: one take of what is pending is the longest anything computes.
    """

    def __init__(self, consumer: Any, **service: Any) -> None:
        super().__init__(consumer, thread_loop=consumer.loop, **service)

    async def start(self) -> None:
        """Connect; no thread."""
        self._thread_started.set()
        await self.on_start()
        shell: Shell = self.consumer.app.shell
        shell.asking = Asking(self._consumer._fetcher, shell.fetching)  # noqa: SLF001
        self._admission = asyncio.create_task(self._require_admission())
        self._started.set()

    async def stop(self) -> None:
        """Leave the group and disconnect."""
        if self._started.is_set() and not self._stopped.is_set():
            self._stopped.set()
            self._admission.cancel()
            await self._consumer.stop()
            self.set_shutdown()

    async def _require_admission(self) -> None:
        """End the worker where it may not join its group: Faust would wait, and say nothing."""
        coordinator = self._consumer._coordinator  # noqa: SLF001 - guarded by a test
        # The client tells nobody; it has to be asked.
        while not isinstance(coordinator._pending_exception, GroupAuthorizationFailedError):  # noqa: ASYNC110, SLF001
            await asyncio.sleep(COMMIT_SECONDS)
        error = UnreachableError(
            f"the Kafka broker let us not join group {coordinator.group_id}: allow the user to "
            f"read groups, as docs/security.md says."
        )
        exit_with(error, stage=self.consumer.app.shell.name)

    async def call_thread(self, fun: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function of the client; it may return an awaitable."""
        return await maybe_async(fun(*args, **kwargs))

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust waits 1.5 s; an idle partition's long poll may hold up a busy one on its broker.
        hold(consumer, self.consumer.app.shell.fetching)
        # All inputs of a stage must give a worker the same partitions; round robin doesn't.
        consumer._partition_assignment_strategy = (RangePartitionAssignor,)  # noqa: SLF001
        # Faust's setting also bounds how long an intake may load, which is for ever; not these.
        consumer._request_timeout_ms = REQUEST_TIMEOUT_MS  # noqa: SLF001
        consumer._client._request_timeout_ms = REQUEST_TIMEOUT_MS  # noqa: SLF001
        return consumer

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        assignment = self.assignment()
        ours = {tp: offset for tp, offset in offsets.items() if tp in assignment}
        # A rebalance may have taken them all, and committing nothing crashes the thread.
        return bool(ours) and await super()._commit(ours)


class _Consumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer, but one event is for all pending; an intake says where to resume."""

    def _new_consumer_thread(self) -> _Client:
        return _Client(self, loop=self.loop, beacon=self.beacon)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Let the intake load its states, then stand where it says."""
        shell: Shell = self.app.shell
        committed = await super().seek_to_committed()
        resume = await shell.assign(
            {tp: offset for tp, offset in committed.items() if tp in self.assignment()}
        )
        for tp, offset in resume.items():
            await self._seek(tp, offset)
        return resume

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is durable, then forget everything: rebalances are eager."""
        shell: Shell = self.app.shell
        await shell.commit()
        shell.revoke()
        await super().on_partitions_revoked(revoked)

    async def on_stop(self) -> None:
        """Let the intake end, and commit what is durable before the group is left."""
        await self.app.shell.intake.close()
        await self.app.shell.commit()
        await super().on_stop()

    async def _drain_messages(self, fetcher: Service) -> None:
        try:
            await self._feed(fetcher)
        except (asyncio.CancelledError, *self.consumer_stopped_errors):
            if not self.app.should_stop:  # being stopped is how a fetch ends at the end
                raise

    async def _feed(self, fetcher: Service) -> None:
        shell: Shell = self.app.shell
        while not (self.should_stop or fetcher.should_stop):
            records, _ = await self._wait_next_records(1.0)
            if not records:
                await asyncio.sleep(0)
                continue
            if not self.flow_active:
                continue  # the rebalance that stopped the flow seeks again
            # Taken from the client at once, whether or not the agent is free: what stays in its
            # buffer is left out of the next long poll, and waits until that one returns.
            shell.offer(records)
            if not shell.room.is_set():
                await self.wait_first(shell.room.wait(), self.suspend_flow.wait())


class _Transport(driver.Transport):  # type: ignore[misc]
    Consumer = _Consumer


class Inputs(faust.Topic):  # type: ignore[misc]
    """The topics an agent reads; Faust's own can't be listed when there are several."""

    def get_topic_name(self) -> str:
        """Return the topics' names with spaces between."""
        return " ".join(self.topics)


class StageApp(App):
    """A Faust app with one agent that feeds one intake."""

    shell: Shell

    def __init__(self, name: str, **settings: Any) -> None:
        super().__init__(name, Topic=Inputs, **settings)

    def _new_transport(self) -> _Transport:
        return _Transport(self.conf.broker_consumer, self, loop=self.loop)


class Together(Service):  # type: ignore[misc]
    """Starts and stops apps side by side: each spends a second waiting for itself."""

    def __init__(self, apps: list[StageApp], **service: Any) -> None:
        super().__init__(**service)
        self._apps = apps

    async def on_start(self) -> None:
        """Start them all."""
        await asyncio.gather(*(app.maybe_start() for app in self._apps))

    async def on_stop(self) -> None:
        """Stop them all."""
        await asyncio.gather(*(app.stop() for app in self._apps))


class Shell:
    """Stands between one Faust app and one intake.

    Attributes:
        app: The Faust app: one consumer group.
        topics: What it reads, by logical names.
        room: Set while less is pending than one may hold in memory; reading waits for it.
        intake: Whom it feeds; set before the app starts.
        fetching: How it asks for records; set before the app starts.
        asking: Who asks as told by `fetching`, since the app has started.
    """

    def __init__(self, name: str, topics: tuple[str, ...], prefix: str, app: StageApp) -> None:
        self.name = name
        self.topics = topics
        self.fetching: Fetching = PROMPT
        self.app = app
        self.room = asyncio.Event()
        self.room.set()
        self._pending = Pending()
        self._added_to = asyncio.Event()
        self._called = self._working = False
        self._held: frozenset[Place] = frozenset()
        self._released: set[Place] = set()  # to be read until something of them was taken
        self.asking: Asking
        self.intake: Intake
        self._prefix = prefix
        self._taking = asyncio.Lock()
        self._committed: dict[Place, int] = {}
        self.watchdog = Watchdog(name)
        app.shell = self
        channel = app.topic(
            *(prefix + topic for topic in topics),
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )
        app.agent(channel, name=name)(self._agent_function(name, topics))
        app.timer(interval=COMMIT_SECONDS)(self._tick)

    def place(self, partition: Any) -> Place:
        """Return the partition by its logical topic name."""
        return Place(partition.topic.removeprefix(self._prefix), partition.partition)

    async def assign(self, committed: Mapping[Any, int | None]) -> dict[TP, int]:
        """Let the intake own the assigned partitions; return where to resume."""
        try:
            places = {
                self.place(tp): offset if offset is not None and offset >= 0 else None
                for tp, offset in committed.items()
            }
            async with self._taking:
                self._expect({})
                # A call under way when the partitions went may be lost.
                self._called = self._working
                resume = await self.intake.assign(places)
                self._expect(resume)
        except Exception as error:  # noqa: BLE001 - Faust would log it and go on without us
            exit_with(error, stage=self.name)
        self._committed = {}
        log.info("assigned", stage=self.name, partitions=len(places))
        return {TP(self._prefix + place.topic, place.partition): at for place, at in resume.items()}

    def _expect(self, due: Mapping[Place, int]) -> None:
        self._pending.expect(self.app.consumer_generation_id, due)

    def offer(self, records: Mapping[Any, list[Any]]) -> None:
        """Add what was read to what is pending."""
        read = {}
        for tp, batch in records.items():
            place = self.place(tp)
            read[place] = [
                Stored(place.topic, place.partition, record.offset, record.key, record.value)
                for record in batch
            ]
        new = self._pending.add(self.app.consumer_generation_id, read)
        if new:
            self._added()
        self.asking.answered(sum(map(len, records.values())), new=new)

    def hand(self, appended: Iterable[Stored]) -> None:
        """Add what this process appended and the agent would otherwise read a moment later."""
        # While the flow rests, between two assignments, Faust may drop the event that would wake.
        if not (self.room.is_set() and self.app.consumer.flow_active):
            return
        if self._pending.hand(self.app.consumer_generation_id, appended, self._held):
            self._added()

    def _added(self) -> None:
        if self._pending.count >= MOST_PENDING or self._pending.size >= MOST_BYTES:
            self.room.clear()
        self._added_to.set()
        if not self._called:
            # Once: of a stream with several events waiting Faust would read a partition no more,
            # until somebody takes them.
            self._called = True
            consumer = self.app.consumer
            consumer.add_future(consumer.callback(self._event()))

    def _event(self) -> FaustMessage:
        """Return an event that sets the agent to work."""
        place = self._pending.first()
        topic = self._prefix + place.topic
        return FaustMessage(
            topic=topic,
            partition=place.partition,
            offset=0,
            timestamp=0.0,
            timestamp_type=0,
            headers=None,
            key=b"",
            value=b"",
            checksum=None,
            tp=TP(topic, place.partition),
            generation_id=self.app.consumer_generation_id,  # Faust drops events of another one
        )

    def waits_for(self, what: str) -> None:
        """Say what the intake waits for outside; empty when it goes on."""
        self.watchdog.wait_for(what)
        if what:
            log.warning("waiting", stage=self.name, reason=what)

    def revoke(self) -> None:
        """Let the intake forget its partitions."""
        self._expect({})
        self._held = frozenset()  # pausing ends with an assignment
        self._released = set()
        self.room.set()
        self.intake.revoke()

    def _hold(self, full: frozenset[Place]) -> None:
        """Let the client read no more of some partitions, and again of all others."""
        if full == self._held:
            return
        client = self.app.consumer._thread._consumer  # noqa: SLF001 - guarded by a test
        names = {place: TopicPartition(self._prefix + place.topic, place.partition)
                 for place in full ^ self._held}  # fmt: skip
        ours = client.assignment()
        client.pause(*(names[place] for place in full - self._held if names[place] in ours))
        client.resume(*(names[place] for place in self._held - full if names[place] in ours))
        self._held = full

    async def _tick(self) -> None:
        # Once a second some of them is read all the same: what releases them can stand on them,
        # such as the join of an instrument that others already wait for.
        self._released |= self._held
        self._hold(frozenset())
        await self.commit()

    async def commit(self) -> None:
        """Let states and progress be written down; commit the offsets that are safe and moved."""
        if not self._taking.locked():
            await self._checkpoint()
        offsets = self.intake.committable()
        if offsets != self._committed and self.app._consumer is not None:  # noqa: SLF001
            done = await self._commit(offsets)
            self._committed = offsets if done else {}  # a rebalance refused it: try again

    async def _commit(self, offsets: Mapping[Place, int]) -> bool:
        committed = {
            TP(self._prefix + place.topic, place.partition): offset
            for place, offset in offsets.items()
        }
        # Not what Faust's list of acks would commit, but what the intake named.
        return bool(await self.app.consumer._commit(committed))  # noqa: SLF001

    async def _checkpoint(self) -> None:
        try:
            async with self._taking:
                await self.intake.checkpoint()
        except Exception as error:  # noqa: BLE001
            exit_with(error, stage=self.name)

    def _agent_function(self, name: str, topics: tuple[str, ...]) -> Any:
        async def feed(stream: Any) -> None:
            await self._agent(stream)

        feed.__doc__ = f"Feed {', '.join(topics)} to {name}."  # what `faust agents` shows
        return feed

    async def _agent(self, stream: Any) -> None:
        # No acks through Faust: it would commit past what was never acknowledged.
        async for _ in stream.noack().events():
            self._working = True
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 - raised, it would be acknowledged
                exit_with(error, stage=self.name)
            finally:
                self._called = self._working = False

    async def _work(self) -> None:
        """Take all that is pending, whenever something is."""
        # An event of Faust's for each would come a third of a millisecond later, and a decision
        # passes five stages.
        while True:
            self._added_to.clear()
            while self._pending.count:
                await self._take()
            await self._added_to.wait()

    async def _take(self) -> None:
        async with self._taking:
            generation, batches = self._pending.pop()
            self.room.set()
            if generation == self.app.consumer_generation_id:
                with self.watchdog.working():
                    await self.intake.take(batches)
                self._released -= batches.keys()
                self._hold(self.intake.full() - self._released)
