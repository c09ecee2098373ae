"""What can happen to the broker: a site at work enters, and whether the fault met work leaves."""

from __future__ import annotations

import asyncio
import signal

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.protocol.admin import DeleteGroupsRequest

from app.errors import BUG
from app.pipeline import EDGES, STAGES
from app.runtime import topics
from tests.faults.site import DERIVED, Site
from tests.integration.worker import administrator

MINUTE = 60.0
NOT_EMPTY = 68
"""Kafka's code for a group whose members have not all left yet."""


async def broker_killed(site: Site) -> bool:
    if site.broker is None:
        return False
    site.broker.send(signal.SIGKILL)
    await asyncio.sleep(4 * site.chance.random())
    await site.broker.start()
    return True


async def broker_silent(site: Site) -> bool:
    if site.broker is None:
        return False
    site.broker.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(2 + 10 * site.chance.random())
    finally:
        site.broker.send(signal.SIGCONT)
    return True


async def broker_unreachable(site: Site) -> bool:
    """Be away, or silent, for a minute."""
    if site.broker is None:
        return False
    gone = site.chance.random() < 0.5
    site.broker.send(signal.SIGKILL if gone else signal.SIGSTOP)
    try:
        await asyncio.sleep(MINUTE)
    finally:
        if gone:
            await site.broker.start()
        else:
            site.broker.send(signal.SIGCONT)
    return True


async def appends_refused(site: Site) -> bool:
    """Let the broker take no record of one topic: a worker must end, and go on once it does."""
    topic = site.chance.choice(DERIVED)
    bugs = site.exits().count(BUG)

    async def ended() -> bool:
        return site.exits().count(BUG) > bugs

    await limit(site, topic, {"max.message.bytes": "1"})
    try:
        met = await site.soon(ended)
        await asyncio.sleep(4 * site.chance.random())
    finally:
        await limit(site, topic, {})
    return met and site.said("stopped", f"records for {topic}")


async def limit(site: Site, topic: str, changed: dict[str, str]) -> None:
    """Set a topic's configuration to the declared one with changes."""
    name = site.installation.prefix + topic
    settings = topics.declared()[topic].configuration() | changed
    async with administrator(site.installation) as client:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, settings)])


async def groups_reset(site: Site) -> bool:
    """Forget what one consumer group or all have committed, or falsify it, between two starts."""
    count = len(site.slots)
    for slot in list(site.slots):
        await site.leave(slot)
    every = [site.installation.prefix + name for name in (*[s.name for s in STAGES], *EDGES)]
    groups = every if site.chance.random() < 0.5 else [site.chance.choice(every)]
    way = site.chance.choice(["forgotten", "beginning", "end"])
    async with administrator(site.installation) as client:
        for group in groups:
            if way == "forgotten":
                await forget(client, group)
            else:
                await falsify(site, client, group, way)
    for _ in range(count):
        site.join()
    return True


async def forget(client: AIOKafkaAdminClient, group: str) -> None:
    while True:
        coordinator = await client.find_coordinator(group)
        request = DeleteGroupsRequest([group])
        answer = await client._send_request_to_node(coordinator, request)
        codes = {code for _, code in answer.results}
        if NOT_EMPTY not in codes:
            return
        await asyncio.sleep(0.2)  # a member that left is still being taken out


async def falsify(site: Site, client: AIOKafkaAdminClient, group: str, way: str) -> None:
    """Commit the beginning or the end of every partition of which a group has committed any."""
    committed = await client.list_consumer_group_offsets(group)
    places = [TopicPartition(place.topic, place.partition) for place in committed]
    consumer = AIOKafkaConsumer(
        bootstrap_servers=site.installation.cluster.bootstrap,
        group_id=group,
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        ask = consumer.beginning_offsets if way == "beginning" else consumer.end_offsets
        consumer.assign(places)
        await consumer.commit(await ask(places))
    finally:
        await consumer.stop()
