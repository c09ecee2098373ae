"""Single records enter a broker; how long each waits for its acknowledgement leaves.

Nothing else runs beside it, so this is what five stages in a row can't be faster than. After a rest
it is the time that a halted processor, and a server that sleeps on it, need to wake up.
"""

from __future__ import annotations

import asyncio
import time
import uuid

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from rich.console import Console

from app.config import Settings
from bench.report import Report

TIMES = 200
RESTS = {"one after the other": 0.0, "after 50 ms of rest": 0.05}
VALUE = bytes(300)


async def measure(settings: Settings, report: Report, console: Console) -> None:
    """Append to a topic of its own, which is gone at the end."""
    console.print("appends", highlight=False)
    clients = {"bootstrap_servers": settings.kafka.bootstrap, **settings.kafka.security()}
    name = f"bench_{uuid.uuid4().hex[:10]}.appends"
    administrator = AIOKafkaAdminClient(**clients)
    await administrator.start()
    try:
        await administrator.create_topics([NewTopic(name, 1, 1)])
        async with AIOKafkaProducer(acks="all", enable_idempotence=True, **clients) as producer:
            for label, rest in RESTS.items():
                report.add_percentiles(f"append, {label}:", await _times(producer, name, rest))
    finally:
        await administrator.delete_topics([name])
        await administrator.close()


async def _times(producer: AIOKafkaProducer, topic: str, rest: float) -> list[float]:
    """Return the milliseconds of each append, less the first, which learns where the topic is."""
    found = []
    for _ in range(TIMES + 1):
        begun = time.perf_counter()
        await producer.send_and_wait(topic, VALUE)
        found.append(1000 * (time.perf_counter() - begun))
        await asyncio.sleep(rest)
    return found[1:]
