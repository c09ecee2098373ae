"""What every record has in common: a type, a name, and the message that carries it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Protocol

from app.core.events import checks

# One text for one number: an id with leading zeros would be another name for the same record.
_NUMBER = re.compile(r"[1-9][0-9]{0,18}")


class Record(Protocol):
    """One immutable fact: a frozen, slotted dataclass with a type tag."""

    TYPE: ClassVar[str]


class NamedRecord(Record, Protocol):
    """A record that enters from outside; its name is its identity."""

    def name(self) -> str:
        """Return the identity, unique on its topic."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who made a record, from what, for whom, and the how-manieth it is.

    Attributes:
        stage: The stage that made it.
        source: The key of the state it was made from.
        destination: The key it was sent under.
        number: Counts from 1 without holes for each (stage, source, destination).
    """

    stage: str
    source: str
    destination: str
    number: int

    def __post_init__(self) -> None:
        checks.key("id.stage", self.stage)
        checks.key("id.source", self.source)
        checks.key("id.destination", self.destination)
        checks.ordinal("id.number", self.number)

    def __str__(self) -> str:
        return f"{self.stage}/{self.source}/{self.destination}/{self.number}"

    @property
    def sender(self) -> str:
        """The stage and source whose numbers a receiver counts."""
        return f"{self.stage}/{self.source}"

    @classmethod
    def parse(cls, text: str) -> Identity:
        """Return the identity written as `text`; raises InvalidRecordError."""
        parts = text.split("/") if len(text) < 500 else []  # noqa: PLR2004 - four keys and a number
        if len(parts) != 4 or _NUMBER.fullmatch(parts[3]) is None:  # noqa: PLR2004
            raise checks.refuse("id", text, "stage/source/destination/number")
        return cls(parts[0], parts[1], parts[2], int(parts[3]))


@dataclass(frozen=True, slots=True)
class Message:
    """A record with its identity and its origin.

    Attributes:
        record: The fact.
        identity: None for what enters from outside; its record names itself then.
        origin: The name of the input record that caused it; None for what enters.
    """

    record: Record
    identity: Identity | None = None
    origin: str | None = None

    @property
    def name(self) -> str:
        """The identity as text, or the name the record gives itself."""
        if self.identity is not None:
            return str(self.identity)
        return self.record.name()  # type: ignore[attr-defined, no-any-return]


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message as it was read: where it stood in the log.

    Attributes:
        message: What was read.
        topic: The topic's logical name, without any prefix.
        partition: The partition.
        offset: The offset in that partition.
    """

    message: Message
    topic: str
    partition: int
    offset: int

    @property
    def record(self) -> Record:
        """The fact that was read."""
        return self.message.record


@dataclass(frozen=True, slots=True)
class Output:
    """A message to append under a key to a topic."""

    topic: str
    key: str
    message: Message
