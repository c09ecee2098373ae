"""Damage at the end of a run, at which workers must refuse to go on: what it changed leaves."""

from __future__ import annotations

import signal
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka.admin import NewPartitions

from app.errors import BUG, FAILED
from app.pipeline import STAGES
from app.runtime import topics
from app.runtime.sink import SINK_TOPICS
from app.storage.tables import TABLES
from tests.faults.on_topics import FOREIGN
from tests.faults.site import DERIVED, PATIENCE, Site
from tests.integration.worker import administrator

Ending = Callable[[Site], Awaitable[list[str]]]
Holding = dict[tuple[Any, ...], Any]

OWN = (
    *(name for name in DERIVED if name != "signals"),
    *("snapshots", "forks", "dead-letters"),
    *(f"state-{stage.name}" for stage in STAGES),
)
"""The topics on which nobody but our stages may write. (On signals people's commands stand.)"""


async def poison(site: Site) -> list[str]:
    """Put foreign bytes on a topic of ours: whoever reads them must end with code 70."""
    topic = OWN[site.number // 2 % len(OWN)]
    before = await holding(site)
    value = site.chance.choice(FOREIGN)
    name, number, offset = await site.poison(topic, "paper", value)
    site.foreign.clear()  # no dead letter is to be
    if topic.startswith("state-"):  # which is read at a start only
        again(site)
        words = f"{name}/{number}"
    else:
        words = f"{name}/{number}/{offset} could not be taken"
    wrong = await refused(site, BUG, words)
    return wrong + await changed(site, before, {(name, number)})


async def made_anew(site: Site) -> list[str]:
    """Delete a topic and create it empty: its readers must not take it for the one they knew."""
    topic = site.chance.choice(("trades", *DERIVED))
    for slot in list(site.slots):
        await site.leave(slot)
    before = await holding(site)
    await delete(site, topic)
    await topics.create(site.installation.cluster)
    site.join()
    wrong = await refused(site, FAILED, f"{topic}/", "the topic was made anew")
    places = {(topic, number) for number in range(topics.declared()[topic].partitions)}
    return wrong + await changed(site, before, places)


async def delete(site: Site, topic: str) -> None:
    async with administrator(site.installation) as client:
        await client.delete_topics([site.installation.prefix + topic])

    async def gone() -> bool:
        async with administrator(site.installation) as client:
            return site.installation.prefix + topic not in await client.list_topics()

    await site.until(gone, f"{topic} is deleted")


async def partitions_added(site: Site) -> list[str]:
    """Add a partition: keys would move, so no worker may start."""
    topic = site.chance.choice(("trades", *DERIVED))
    count = topics.declared()[topic].partitions
    before = await holding(site)
    async with administrator(site.installation) as client:
        name = site.installation.prefix + topic
        await client.create_partitions({name: NewPartitions(count + 1)})
    again(site)
    words = f"{topic}: partitions was {count + 1}, must be {count}"
    wrong = await refused(site, FAILED, words)
    return wrong + await changed(site, before, set())


def again(site: Site) -> None:
    """Let every worker end and be started again."""
    for slot in site.slots:
        slot.send(signal.SIGTERM)


async def refused(site: Site, code: int, *words: str) -> list[str]:
    """Wait until a worker has refused; return what was otherwise, and let none be left."""
    count = site.exits().count(code)

    async def ended() -> bool:
        return site.exits().count(code) > count and site.said("stopped", *words)

    met = await site.soon(ended, PATIENCE)
    await site.close()
    return [] if met else [f"no worker ended with code {code} saying {' … '.join(words)!r}"]


async def holding(site: Site) -> Holding:
    """Return what topics and tables hold; a repeat on a topic, the same bytes, adds nothing."""
    found: Holding = defaultdict(set)
    for name in SINK_TOPICS:
        for each in await site.installation.stored(name):
            found["topic", name, each.partition].add(each.value)
    for name in TABLES:  # not sink_offsets: repeats move it on
        # As a set: a table has no order.
        rows = await site.database.fetch(f"SELECT t::text FROM {name} t")  # noqa: S608 - ours
        found["table", name] = sorted(row[0] for row in rows)
    return found


async def changed(site: Site, before: Holding, struck: set[tuple[str, int]]) -> list[str]:
    """Return what topics and tables hold that they did not, but for the damaged partitions.

    Trades may have come: market data reads nothing that was damaged.
    """
    after = await holding(site)
    return [
        f"{' '.join(map(str, key))} was changed by workers that refused to go on"
        for key in after
        if key[1:] not in struck and not _same(key, before[key], after[key])
    ]


def _same(key: tuple[Any, ...], before: Any, after: Any) -> bool:
    return bool(before <= after if key[:2] == ("topic", "trades") else before == after)


ENDINGS: dict[str, Ending] = {
    "end: foreign bytes on a topic of ours": poison,
    "end: a topic made anew": made_anew,
    "end: partitions added": partitions_added,
}
POISON, ANEW, ADDED = ENDINGS
CYCLE = (POISON, ANEW, POISON, ADDED)
"""How seeds in a row end: there are many topics to poison."""
