"""Records beside the flow: dead letters, snapshots, forks, and the runtime's own state."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from app.core.events import checks

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Bytes that could not be processed.

    Attributes:
        topic, partition, offset: Where they stood.
        key: The record's key as text, undecodable bytes escaped.
        stage: Who could not process them.
        reason: Why.
        payload: The bytes, base64; cut at 500,000 of them.
        size: How many bytes there were.
    """

    TYPE: ClassVar[str] = "dead_letter"
    topic: str
    partition: int
    offset: int
    key: str
    stage: str
    reason: str
    payload: str
    size: int

    def __post_init__(self) -> None:
        checks.key("topic", self.topic)
        checks.key("stage", self.stage)
        for name in ("partition", "offset", "size"):
            checks.count(name, getattr(self, name))
        checks.text("key", self.key)
        checks.text("reason", self.reason)
        if _BASE64.fullmatch(self.payload) is None:
            raise checks.refuse("payload", self.payload, "base64")

    def name(self) -> str:
        """Return the identity: the place of the bytes and who refused them."""
        return f"dead_letter/{self.stage}/{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class StageState:
    """One key's state as a successor loads it: the record of a state topic.

    Attributes:
        stage: The stage.
        key: The key.
        token: The offset of its writer's claim: the higher owner wins.
        version: Version of the code that decides.
        time: The decision time it was written at, milliseconds since the epoch UTC.
        needs: The oldest offset still needed, by input topic.
        body: The state as JSON text.
    """

    TYPE: ClassVar[str] = "state"
    stage: str
    key: str
    token: int
    version: int
    time: int
    needs: dict[str, int]
    body: str

    def __post_init__(self) -> None:
        checks.key("stage", self.stage)
        checks.key("key", self.key)
        checks.time("time", self.time)
        for name in ("token", "version"):
            checks.count(name, getattr(self, name))
        checks.offsets("needs", self.needs)

    def name(self) -> str:
        """Return the identity: the latest under it counts."""
        return f"state/{self.stage}/{self.key}"


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker has begun to own a partition of a stage; the record's offset is its token."""

    TYPE: ClassVar[str] = "claim"
    stage: str
    partition: int
    owner: str

    def __post_init__(self) -> None:
        checks.key("stage", self.stage)
        checks.count("partition", self.partition)
        checks.text("owner", self.owner)

    def name(self) -> str:
        """Return the identity: the latest under it counts."""
        return f"claim/{self.stage}/{self.partition}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a partition of a stage has come.

    Attributes:
        stage: The stage.
        partition: The partition.
        token: The offset of its writer's claim.
        partitions: How many partitions the inputs had.
        run: The run the topics belong to.
        version: Version of the code that decides.
        through: The next offset to read, by input topic.
        time: The newest decision time of its keys, milliseconds since the epoch UTC.
        waiting: What each key waits for, by key; keys that wait for nothing are left out.
    """

    TYPE: ClassVar[str] = "progress"
    stage: str
    partition: int
    token: int
    partitions: int
    run: str
    version: int
    through: dict[str, int]
    time: int
    waiting: dict[str, str]

    def __post_init__(self) -> None:
        checks.key("stage", self.stage)
        for name in ("partition", "token", "partitions", "version"):
            checks.count(name, getattr(self, name))
        checks.text("run", self.run)
        checks.time("time", self.time)
        checks.offsets("through", self.through)
        for key, reason in self.waiting.items():
            checks.key("waiting", key)
            checks.text("waiting", reason)

    def name(self) -> str:
        """Return the identity: the latest under it counts."""
        return f"progress/{self.stage}/{self.partition}"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One key's state at 00:00 UTC, kept long: where replays and forks start.

    Attributes:
        stage: The stage.
        key: The key.
        version: Version of the code that decides.
        time: The decision time, milliseconds since the epoch UTC.
        needs: The oldest offset still needed, by input topic.
        body: The state as JSON text.
    """

    TYPE: ClassVar[str] = "snapshot"
    stage: str
    key: str
    version: int
    time: int
    needs: dict[str, int]
    body: str

    def __post_init__(self) -> None:
        checks.key("stage", self.stage)
        checks.key("key", self.key)
        checks.time("time", self.time)
        checks.count("version", self.version)
        checks.offsets("needs", self.needs)

    def name(self) -> str:
        """Return the identity."""
        return f"snapshot/{self.stage}/{self.key}/{self.time}"


class ForkStep(StrEnum):
    """A step in a fork's life."""

    REQUESTED = "requested"
    CREATING = "creating"
    READY = "ready"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    DELETING = "deleting"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Fork:
    """One step in the life of a copy of the database.

    Attributes:
        fork_id: The fork; what its copy is named, wherever it lives.
        step: What happened.
        time: When, by the clock of whoever took the step, milliseconds since the epoch UTC.
        at: The decision time it stands for, milliseconds since the epoch UTC; none: now.
        backend: Where it lives.
        source: What is copied, as the back end names it.
        handle: What the back end calls the copy; none: not known yet.
        expires: From when on it may be deleted unasked, milliseconds since the epoch UTC.
        detail: A sentence.
    """

    TYPE: ClassVar[str] = "fork"
    fork_id: str
    step: ForkStep
    time: int
    at: int | None
    backend: str
    source: str
    handle: str | None
    expires: int
    detail: str

    def __post_init__(self) -> None:
        checks.key("fork_id", self.fork_id)
        checks.key("backend", self.backend)
        for name in ("time", "expires"):
            checks.time(name, getattr(self, name))
        for name in ("source", "detail"):
            checks.text(name, getattr(self, name))
        if self.handle is not None:
            checks.text("handle", self.handle)
        if self.at is not None:
            checks.time("at", self.at)

    def name(self) -> str:
        """Return the identity: a step that was taken twice is there twice."""
        return f"fork/{self.fork_id}/{self.step}/{self.time}"
