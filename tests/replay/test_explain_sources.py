"""A run's topics on a real broker and its tables in a real database tell the same tree."""

from __future__ import annotations

import json
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.core.events import Fill, Orders, Refusal
from app.replay.explain import Moment, document, explain, gather_moment, gather_named
from app.replay.explain.archive import Archive
from app.replay.explain.from_tables import TableArchive
from app.replay.explain.from_topics import TopicArchive
from app.replay.sources.kafka import KafkaRecording
from app.runtime.ports import Entry, Place
from app.runtime.sink import SINK_TOPICS, SinkIntake
from app.runtime.topics import declared
from app.storage.database import Database
from tests.integration.conftest import NEEDED
from tests.integration.worker import Installation, installed
from tests.replay.market import A, B, Market, end
from tests.replay.recording import recorded
from tests.replay.test_explain import of

INTERVALS = 24

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        pytest.skip(f"needs a real broker and database: set {', '.join(missing)}, as ./run test")
    async with installed(tmp_path) as made:
        yield made


async def store(installation: Installation, database: Database) -> list[str]:
    """Put a run on the topics and into the tables; return names of some of its records."""
    run = await recorded(Market(7, INTERVALS), random.Random(1))
    for place, partition in run.stored.items():
        if place.topic in SINK_TOPICS:
            await installation.log.append(
                [Entry(place.topic, each.key or b"", each.value or b"") for each in partition]
            )
    sink = SinkIntake(database, installation.log, lambda _: None)
    places = [Place(name, n) for name in SINK_TOPICS for n in range(declared()[name].partitions)]
    await sink.assign(dict.fromkeys(places))
    for place in places:
        await sink.take({place: await installation.log.read(place)})
    fills = of(run, "fills", Fill)
    orders = [order for _, each in of(run, "orders", Orders) for order in each.orders]
    return [
        *(message.name for message, _ in fills[:: len(fills) // 4]),
        *(order.order_id for order in orders[::20]),
        *(message.name for message, _ in of(run, "risk", Refusal)[::20]),
        *("portfolio/alpha/alpha/9", "allocation/beta/beta/12", "risk/alpha/alpha/30"),
        *(f"candles/{A}/{A}/25", f"trades/{A}/17", f"clock/{A}/{end(9)}", "command/alpha/two"),
        *(f"epoch/{A}/alpha/1", f"join/{B}/beta/1"),
    ]


async def told(archive: Archive, names: list[str]) -> list[str]:
    cases = [case for name in names for case in await gather_named(archive, name)]
    cases += [
        await gather_moment(archive, Moment(end(number), instrument, account))
        for number, instrument, account in ((5, A, "alpha"), (20, A, "beta"), (13, B, "alpha"))
    ]
    return [json.dumps(document(explain(case)), sort_keys=True) for case in cases]


async def test_topics_and_tables_tell_the_same(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.replay.explain.from_topics.NEAR", 100)
    async with (
        Database(installation.settings()) as database,
        KafkaRecording(installation.cluster) as recording,
    ):
        names = await store(installation, database)
        from_topics = await told(TopicArchive(recording), names)
        assert await told(TableArchive(database), names) == from_topics
        assert len(from_topics) > 15
    done = await installation.run("explain", names[0], "--json")
    assert done.code == 0, done.error
    again = await installation.run("explain", names[0], "--json", "--from-database")
    assert done.out == again.out
    (explanation,) = json.loads(done.out)["explanations"]
    assert json.dumps(explanation, sort_keys=True) == from_topics[0]
    plain = await installation.run("explain", names[0], "--from-database")
    assert plain.out.startswith("fill: ")
    unknown = await installation.run("explain", "macd/SIM:AAAUSDT/alpha/99999", "--from-database")
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.error.count("\n") == 1
    assert "there is no record macd/SIM:AAAUSDT/alpha/99999" in unknown.error
