"""Declared topics enter from `topics/`; topics on a broker leave, or what is wrong with them."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from app import data
from app.core.flow import ACCOUNT, INSTRUMENT
from app.errors import ConfigurationError, LockstepError
from app.runtime.codec import LARGEST_BYTES
from app.runtime.connection import spoken

STATE = "state-"
MARKET_INPUT = "instruments"
FOREVER = "forever"
COMPACT = "compact"
MINUTE = 60_000
DAY = 86_400_000
LARGEST_BATCH = LARGEST_BYTES + 64 * 1024  # room for the key and what Kafka puts around a record
TOPIC_ALREADY_EXISTS = 36
KNOWN_AFTER = 10.0  # seconds


class Cluster(Protocol):
    """What is needed to know of a broker."""

    @property
    def bootstrap(self) -> str:
        """Some of the brokers, host:port, with commas between."""

    @property
    def prefix(self) -> str:
        """What stands before the name of every topic."""

    @property
    def replication(self) -> int:
        """How many brokers keep each record."""

    def security(self) -> dict[str, Any]:
        """Return the arguments by which a client proves who it is."""


class TopicsError(LockstepError):
    """Topics on the broker are not as declared."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as declared.

    Attributes:
        name: Its logical name; on a broker it stands behind `kafka.prefix`.
        description: A sentence.
        key: What its records are keyed by: instrument, account, state, topic or fork.
        partitions: How many.
        records: The types of record that may stand on it.
        cleanup: `delete` (by age) or `compact` (the newest of each key stays).
        retention_days: Age at which records may go; `forever`, or none where it is compacted.
        segment_minutes: A part of the log is closed after so long,
        segment_mebibytes: or when it is so large.
    """

    name: str
    description: str
    key: str
    partitions: int
    records: tuple[str, ...]
    cleanup: str
    segment_minutes: int
    segment_mebibytes: int
    retention_days: int | str | None = None

    def configuration(self) -> dict[str, str]:
        """Return the broker's settings for it."""
        settings = {
            "cleanup.policy": self.cleanup,
            "segment.ms": str(self.segment_minutes * MINUTE),
            "segment.bytes": str(self.segment_mebibytes * 1024 * 1024),
            "max.message.bytes": str(LARGEST_BATCH),
            # By a record's own time, retention would delete a day of 2019 as soon as it is written.
            "message.timestamp.type": "LogAppendTime",
        }
        if self.cleanup == COMPACT:
            return settings | {"min.cleanable.dirty.ratio": "0.1"}
        return settings | {"retention.ms": self._retention()}

    def _retention(self) -> str:
        return (
            "-1" if isinstance(self.retention_days, str) else str((self.retention_days or 0) * DAY)
        )


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One field of one topic that is not as declared."""

    topic: str
    field: str
    was: str
    must: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.field} was {self.was}, must be {self.must}"


@functools.cache
def declared() -> dict[str, Topic]:
    """Return every topic by its logical name; raises ConfigurationError."""
    return declared_in(data.folder("topics"))


def declared_in(path: Path) -> dict[str, Topic]:
    """Return every topic declared in a folder, the state topics of all stages among them."""
    found = dict(_read_all(path))
    template = found.pop(STATE)
    for stage, source in _stages().items():
        name = STATE + stage
        partitions = found[source].partitions
        found[name] = dataclasses.replace(template, name=name, partitions=partitions)
    for key in (INSTRUMENT, ACCOUNT):
        _check_alike(path, [topic for topic in found.values() if topic.key == key])
    return found


@functools.cache
def records_of(topic: str) -> frozenset[str]:
    """Return the types of record that may stand on a topic, by its logical name."""
    found = _read_all(data.folder("topics"))
    return frozenset(found[STATE if topic.startswith(STATE) else topic].records)


@functools.cache
def key_of(topic: str) -> str:
    """Return what a topic's records are keyed by, by its logical name."""
    found = _read_all(data.folder("topics"))
    return found[STATE if topic.startswith(STATE) else topic].key


async def create(cluster: Cluster) -> list[str]:
    """Create every topic that is missing; return their logical names.

    The brokers know of them when it returns, so that a worker can start at once.

    Raises:
        TopicsError: A topic that is there is not as declared, or one was refused.
        UnreachableError: No broker answered.
    """
    async with administration(cluster) as administrator:
        found = await _find(administrator, cluster)
        _refuse(_compare(cluster, found, missing=False))
        missing = [
            topic for topic in declared().values() if cluster.prefix + topic.name not in found
        ]
        if missing:
            await _create(administrator, cluster, missing)
            await _until_known(administrator, [cluster.prefix + topic.name for topic in missing])
    return [topic.name for topic in missing]


async def check(cluster: Cluster) -> list[Mismatch]:
    """Return every difference between the broker's topics and those declared.

    Raises:
        UnreachableError: No broker answered.
    """
    async with administration(cluster) as administrator:
        return _compare(cluster, await _find(administrator, cluster), missing=True)


async def require(cluster: Cluster) -> None:
    """Return if every topic is as declared.

    Raises:
        TopicsError: One is not, or is missing.
        UnreachableError: No broker answered.
    """
    _refuse(await check(cluster))


@contextlib.asynccontextmanager
async def administration(cluster: Cluster) -> AsyncIterator[AIOKafkaAdminClient]:
    """Lend a client that asks a broker about itself, and closes with the block.

    Raises:
        UnreachableError: No broker answered.
    """
    client = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap, **cluster.security())
    async with spoken(cluster.bootstrap, cluster.security()):
        try:
            await client.start()
            yield client
        finally:
            await client.close()


def _refuse(mismatches: Iterable[Mismatch]) -> None:
    sentences = [str(mismatch) for mismatch in mismatches]
    if sentences:
        raise TopicsError(
            "; ".join(sentences) + ". Create what is missing with `lockstep topics create`; a "
            "topic that is there is never changed: choose another kafka.prefix, or delete it."
        )


@functools.cache
def _read_all(path: Path) -> dict[str, Topic]:
    """Return what each file declares; the template of the state topics under its own name."""
    files = sorted(path.glob("*.yaml"))
    if not any(file.stem == STATE for file in files):
        raise ConfigurationError(f"there were no topics in {path}: install the package again.")
    return {file.stem: _read(file) for file in files}


def _read(file: Path) -> Topic:
    try:
        fields = yaml.safe_load(file.read_text())
        topic = Topic(name=file.stem, **fields | {"records": tuple(fields["records"])})
    except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
        raise ConfigurationError(
            f"{file} is no declaration of a topic ({error}): compare it with its neighbours."
        ) from error
    _check(file, topic)
    return topic


def _check(file: Path, topic: Topic) -> None:
    allowed = {
        "cleanup": topic.cleanup in (COMPACT, "delete"),
        "partitions": _is_count(topic.partitions),
        "segment_minutes": _is_count(topic.segment_minutes),
        "segment_mebibytes": _is_count(topic.segment_mebibytes),
        "retention_days": topic.retention_days == FOREVER
        or (
            (topic.retention_days is None) == (topic.cleanup == COMPACT)
            and (topic.retention_days is None or _is_count(topic.retention_days))
        ),
    }
    for field, fits in allowed.items():
        if not fits:
            raise ConfigurationError(
                f"{file}: {field} was {getattr(topic, field)!r}, must be as in its neighbours."
            )


def _is_count(value: object) -> bool:
    return type(value) is int and value > 0


def _check_alike(path: Path, topics: list[Topic]) -> None:
    first = topics[0]
    for topic in topics:
        if topic.partitions != first.partitions:
            raise ConfigurationError(
                f"{path / topic.name}.yaml: partitions was {topic.partitions}, must be "
                f"{first.partitions} as for {first.name}: both are keyed by {topic.key}."
            )


def _stages() -> dict[str, str]:
    """Return the topic that decides about the partitions of each stage that keeps state."""
    from app.pipeline import EDGES, STAGES  # noqa: PLC0415 - only the state topics need the flow

    return {stage.name: stage.inputs[0] for stage in STAGES} | {EDGES[0]: MARKET_INPUT}


async def _find(
    administrator: AIOKafkaAdminClient, cluster: Cluster
) -> dict[str, Mapping[str, str]]:
    """Return the fields of each declared topic that is there, by its name on the broker."""
    there = set(await administrator.list_topics())
    names = [name for topic in declared() if (name := cluster.prefix + topic) in there]
    if not names:
        return {}
    described = await administrator.describe_topics(names)
    configured = await administrator.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    )
    fields = {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for response in configured
        for resource in response.resources
    }
    return {
        topic["topic"]: fields[topic["topic"]] | {"partitions": str(len(topic["partitions"]))}
        for topic in described
    }


def _compare(
    cluster: Cluster, found: Mapping[str, Mapping[str, str]], *, missing: bool
) -> list[Mismatch]:
    mismatches = []
    for topic in declared().values():
        fields = found.get(cluster.prefix + topic.name)
        if fields is not None:
            mismatches += _differences(cluster.prefix + topic.name, topic, fields)
        elif missing:
            mismatches.append(Mismatch(cluster.prefix + topic.name, "topic", "missing", "there"))
    return mismatches


def _differences(name: str, topic: Topic, fields: Mapping[str, str]) -> list[Mismatch]:
    must = {"partitions": str(topic.partitions)} | topic.configuration()
    return [
        Mismatch(name, field, fields.get(field, "not set"), value)
        for field, value in must.items()
        if fields.get(field) != value
    ]


async def _until_known(administrator: AIOKafkaAdminClient, names: Iterable[str]) -> None:
    """Return once the brokers tell of topics that the controller has created."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(KNOWN_AFTER):
            unknown = set(names)
            while unknown:
                await asyncio.sleep(0.02)  # a broker can't be asked to say when it knows
                unknown -= set(await administrator.list_topics())


async def _create(
    administrator: AIOKafkaAdminClient, cluster: Cluster, topics: Iterable[Topic]
) -> None:
    answer = await administrator.create_topics(
        [
            NewTopic(
                name=cluster.prefix + topic.name,
                num_partitions=topic.partitions,
                replication_factor=cluster.replication,
                topic_configs=topic.configuration(),
            )
            for topic in topics
        ]
    )
    for name, code, *message in answer.topic_errors:
        if code not in (0, TOPIC_ALREADY_EXISTS):
            reason = (message and message[0]) or for_code(code).__name__
            raise TopicsError(
                f"the broker did not create {name}: {reason}. Correct topics/ or kafka.replication "
                f"and run `lockstep topics create` again."
            )
