"""A broker enters; who reads in the installation's consumer groups, and how far, leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from app.errors import LockstepError
from app.runtime.connection import spoken
from app.runtime.ports import Place
from app.runtime.topics import Cluster, administration

log = structlog.get_logger()

PAUSE = 0.5


class BusyError(LockstepError):
    """Somebody reads who must not."""


class Groups:
    """The consumer groups of one installation, one a stage."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def committed(self, stage: str) -> dict[Place, int]:
        """Return what a stage has committed; partitions without are left out."""
        async with administration(self._cluster) as administrator:
            try:
                found = await administrator.list_consumer_group_offsets(self._name(stage))
            except GroupCoordinatorNotAvailableError:
                return {}  # a broker on which no group has ever been
        return {
            Place(at.topic.removeprefix(self._cluster.prefix), at.partition): committed.offset
            for at, committed in found.items()
            if committed.offset >= 0
        }

    async def commit(self, stage: str, offsets: Mapping[Place, int]) -> None:
        """Commit for a stage that nobody runs."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._cluster.bootstrap,
            group_id=self._name(stage),
            enable_auto_commit=False,
            **self._cluster.security(),
        )
        partitions = {
            TopicPartition(self._cluster.prefix + place.topic, place.partition): offset
            for place, offset in offsets.items()
        }
        async with spoken(self._cluster.bootstrap, self._cluster.security()):
            try:
                await consumer.start()
                consumer.assign(list(partitions))
                await consumer.commit(partitions)
            finally:
                await consumer.stop()

    async def membership(self, stage: str) -> tuple[str, int]:
        """Return what a stage's group is doing, as Kafka names it, and how many are in it."""
        async with administration(self._cluster) as administrator:
            return await self._membership(administrator, stage)

    async def require_nobody(self, stages: Iterable[str], patience: float) -> None:
        """Return once no worker runs any of the stages; one that was killed stays for a while.

        Args:
            stages: Which.
            patience: Seconds to wait for that.

        Raises:
            BusyError: Somebody still does.
        """
        names = list(stages)
        deadline = time.monotonic() + patience
        while busy := await self._busy(names):
            if time.monotonic() >= deadline:
                raise BusyError(
                    f"another worker runs {', '.join(busy)}: a loss can be accepted only while "
                    f"nobody writes or reads. Stop every worker, then start this one again."
                )
            log.warning("waiting", stage="worker", reason=f"for {', '.join(busy)} to be left")
            await asyncio.sleep(PAUSE)  # a broker can't be asked to say when

    async def _busy(self, stages: Iterable[str]) -> list[str]:
        async with administration(self._cluster) as administrator:
            return [stage for stage in stages if (await self._membership(administrator, stage))[1]]

    async def _membership(self, administrator: AIOKafkaAdminClient, stage: str) -> tuple[str, int]:
        try:
            (answer,) = await administrator.describe_consumer_groups([self._name(stage)])
        except GroupCoordinatorNotAvailableError:
            return "", 0  # a broker on which no group has ever been
        # Code, group, state, protocol type, protocol, members.
        _, _, state, _, _, members = answer.groups[0][:6]
        return state, len(members)

    def _name(self, stage: str) -> str:
        return self._cluster.prefix + stage
