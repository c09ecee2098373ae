"""Declared topics agree with the flow and the records, and a broker with what is declared."""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from app import data
from app.core.events import RECORDS, Clock, Message
from app.core.flow import ACCOUNT, INSTRUMENT
from app.errors import ConfigurationError, LockstepError, UnreachableError
from app.pipeline import EDGES, STAGES
from app.replay.driver import Replay
from app.runtime import topics
from app.runtime.browse import Selection, browse
from app.runtime.codec import encode
from app.runtime.kafka import KafkaLog
from app.runtime.ports import Entry
from app.runtime.sink import SINK_TOPICS
from app.runtime.topics import Mismatch, TopicsError, declared, declared_in, records_of
from tests.replay.market import INSTRUMENTS, Market


@dataclass(frozen=True)
class Broker:
    bootstrap: str
    prefix: str = ""
    replication: int = 1
    arguments: dict[str, Any] = field(default_factory=dict)

    def security(self) -> dict[str, Any]:
        return self.arguments


def test_every_topic_of_the_flow_is_declared_with_the_right_key() -> None:
    found = declared()
    for stage in STAGES:
        for topic in stage.inputs:
            assert found[topic].key == stage.key
        assert set(stage.outputs) <= set(found)
    assert set(SINK_TOPICS) <= set(found)


def test_every_stage_that_keeps_state_has_its_topic_with_the_partitions_of_its_inputs() -> None:
    found = declared()
    inputs = {stage.name: stage.inputs for stage in STAGES} | {EDGES[0]: ("instruments",)}
    assert {name for name in found if name.startswith("state-")} == {f"state-{n}" for n in inputs}
    for stage, read in inputs.items():
        state = found[f"state-{stage}"]
        assert {found[topic].partitions for topic in read} == {state.partitions}
        assert state.cleanup == "compact"
        assert state.segment_minutes <= 60
        assert state.segment_mebibytes <= 16


@pytest.mark.parametrize("key", [INSTRUMENT, ACCOUNT])
def test_topics_of_one_key_are_partitioned_alike(key: str) -> None:
    assert len({topic.partitions for topic in declared().values() if topic.key == key}) == 1


def test_every_type_of_record_has_a_topic_and_every_declared_type_exists() -> None:
    assert {tag for topic in declared() for tag in records_of(topic)} == set(RECORDS)


def test_what_the_stages_write_is_what_the_topics_declare() -> None:
    replay = Replay(STAGES)
    source = Market(seed=7, intervals=12)
    for number in range(12):
        for name in INSTRUMENTS:
            for record in source.packed[name][number]:
                replay.feed("trades", name, Message(record))
    replay.run()
    for topic in ("trades", *(topic for stage in STAGES for topic in stage.outputs)):
        tags = {record.TYPE for record in replay.records(topic)}
        assert tags
        assert tags <= records_of(topic)


def test_each_says_what_it_is_and_what_it_keeps() -> None:
    for topic in declared().values():
        assert topic.description.endswith(".")
        settings = topic.configuration()
        assert settings["message.timestamp.type"] == "LogAppendTime"
        assert ("retention.ms" in settings) == (topic.cleanup == "delete")


def test_the_manual_has_a_line_for_each_that_says_the_same() -> None:
    manual = (data.PACKAGE.parent / "docs" / "topics.md").read_text()
    for topic in declared().values():
        if topic.name.startswith("state-"):
            continue
        kept = {"forever": "forever", None: "newest of each key"}.get(
            topic.retention_days, f"{topic.retention_days} days"
        )
        records = " ".join(f"`{tag}`" for tag in topic.records)
        line = f"| `{topic.name}` | {topic.key} | {topic.partitions} | {kept} | {records} |"
        assert line in manual


@pytest.fixture
def change(tmp_path: Path) -> Callable[[str, str, str], Path]:
    def replace(file: str, old: str, new: str) -> Path:
        place = tmp_path / "topics"
        shutil.copytree(data.folder("topics"), place)
        text = (place / file).read_text()
        assert old in text
        (place / file).write_text(text.replace(old, new))
        return place

    return replace


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("candles.yaml", "partitions: 4", "partitions: 8", "must be 8 as for candles"),
        ("fills.yaml", "partitions: 2", "partitions: none", "partitions was 'none'"),
        ("trades.yaml", "cleanup: delete", "cleanup: keep", "cleanup was 'keep'"),
        ("trades.yaml", "retention_days: 90", "retention_days: -1", "retention_days was -1"),
        ("trades.yaml", "retention_days", "retention_dies", "no declaration of a topic"),
        ("trades.yaml", "records:", "recordings:", "no declaration of a topic"),
        ("trades.yaml", "key: instrument", "key: [", "no declaration of a topic"),
    ],
)
def test_a_wrong_declaration_is_refused_with_its_file(
    file: str, old: str, new: str, words: str, change: Callable[[str, str, str], Path]
) -> None:
    place = change(file, old, new)
    with pytest.raises(ConfigurationError, match=words) as caught:
        declared_in(place)
    assert str(place) in str(caught.value)


def test_a_folder_without_topics_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no topics"):
        declared_in(tmp_path)


async def test_a_broker_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(UnreachableError, match=r"no Kafka broker answered at 127\.0\.0\.1:1"):
        await topics.check(Broker("127.0.0.1:1"))
    with pytest.raises(UnreachableError, match=r"no Kafka broker answered at 127\.0\.0\.1:1"):
        await browse(Broker("127.0.0.1:1"), Selection("trades", 1))


@pytest.fixture
async def administrator() -> AsyncIterator[AIOKafkaAdminClient]:
    if "LOCKSTEP_KAFKA__BOOTSTRAP" not in os.environ:
        pytest.skip("needs a broker: set LOCKSTEP_KAFKA__BOOTSTRAP")
    client = AIOKafkaAdminClient(bootstrap_servers=os.environ["LOCKSTEP_KAFKA__BOOTSTRAP"])
    await client.start()
    yield client
    await client.close()


@pytest.fixture
async def broker(administrator: AIOKafkaAdminClient) -> AsyncIterator[Broker]:
    broker = Broker(os.environ["LOCKSTEP_KAFKA__BOOTSTRAP"], f"topics-{uuid.uuid4().hex[:8]}.")
    yield broker
    names = [name for name in await administrator.list_topics() if name.startswith(broker.prefix)]
    await administrator.delete_topics(names)


async def checked(broker: Broker, expected: Mismatch) -> list[Mismatch]:
    """Check until a difference is told: brokers learn of a change a moment after it was made."""
    found: list[Mismatch] = []
    async with asyncio.timeout(60):
        while expected not in found:
            await asyncio.sleep(0.02)
            found = await topics.check(broker)
    return found


@pytest.mark.integration
async def test_topics_are_created_once_and_are_then_as_declared(broker: Broker) -> None:
    missing = await topics.check(broker)
    assert [each.topic for each in missing] == [broker.prefix + name for name in declared()]
    with pytest.raises(TopicsError, match="topic was missing, must be there"):
        await topics.require(broker)
    assert await topics.create(broker) == list(declared())
    assert await topics.check(broker) == []
    await topics.require(broker)
    assert await topics.create(broker) == []


@pytest.mark.integration
async def test_every_mismatch_is_named_field_by_field_and_nothing_is_created(
    broker: Broker, administrator: AIOKafkaAdminClient
) -> None:
    name = broker.prefix + "trades"
    settings = declared()["trades"].configuration() | {"retention.ms": "1000"}
    await administrator.create_topics([NewTopic(name, 7, 1, topic_configs=settings)])
    must = declared()["trades"].configuration()["retention.ms"]
    differences = [
        Mismatch(name, "partitions", "7", "4"),
        Mismatch(name, "retention.ms", "1000", must),
    ]
    found = await checked(broker, differences[0])
    assert [each for each in found if each.topic == name] == differences
    for refusal in (topics.create, topics.require):
        with pytest.raises(TopicsError) as caught:
            await refusal(broker)
        assert f"{name}: partitions was 7, must be 4" in str(caught.value)
        assert f"{name}: retention.ms was 1000, must be {must}" in str(caught.value)
    there = await administrator.list_topics()
    assert [each for each in there if each.startswith(broker.prefix)] == [name]


@pytest.mark.integration
async def test_a_setting_changed_later_is_found(
    broker: Broker, administrator: AIOKafkaAdminClient
) -> None:
    await topics.create(broker)
    name = broker.prefix + "state-candles"
    changed = declared()["state-candles"].configuration() | {"cleanup.policy": "delete"}
    await administrator.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, changed)])
    expected = Mismatch(name, "cleanup.policy", "delete", "compact")
    assert await checked(broker, expected) == [expected]


def clock(instrument: str, number: int) -> Entry:
    return Entry("trades", instrument.encode(), encode(Message(Clock(instrument, number, 0, 0))))


@pytest.mark.integration
async def test_records_are_read_by_place_key_and_time_whatever_they_hold(broker: Broker) -> None:
    await topics.create(broker)
    log = KafkaLog(broker.bootstrap, broker.prefix)
    await log.start()
    try:
        await log.append([clock("X:A", number) for number in range(30)])
        await log.append([clock("X:B", number) for number in range(30)])
        partition = log.partition_for(b"X:A", 4)
    finally:
        await log.stop()
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        await producer.send_and_wait(broker.prefix + "trades", b"\xff\x00", b"X:A")

    async def read(count: int, **selected: Any) -> list[str]:
        lines = await browse(broker, Selection("trades", count, **selected))
        return [line.value for line in lines]

    def values(instrument: str, *numbers: int) -> list[str]:
        return [clock(instrument, number).value.decode() for number in numbers]

    assert await read(2, key="X:A") == [*values("X:A", 29), "\\xff\\x00"]
    assert await read(3, key="X:B") == values("X:B", 27, 28, 29)
    assert await read(2, key="X:A", partition=partition, offset=5) == values("X:A", 5, 6)
    assert len(await read(100)) == 61
    assert await read(5, time=4_000_000_000_000) == []
    first = (await browse(broker, Selection("trades", 1, time=0, key="X:A")))[0]
    assert first.document()["value"] == {
        "type": "clock",
        "instrument": "X:A",
        "time": 0,
        "last_id": 0,
        "age": 0,
    }
    assert first.text().endswith(first.value)
    with pytest.raises(LockstepError, match="no partition 9"):
        await read(1, partition=9)
    with pytest.raises(LockstepError, match="there is no topic"):
        await browse(broker, Selection("nonsense", 1))
