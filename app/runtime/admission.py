"""Bytes as read enter; a message that may be taken leaves, or a dead letter, or an error."""

from __future__ import annotations

import base64

import orjson

from app.core.events import (
    Account,
    Claim,
    Command,
    DeadLetter,
    Message,
    Progress,
    Record,
)
from app.core.flow import Stage
from app.errors import BugError
from app.runtime.codec import DecodeError, decode, encode, readable
from app.runtime.ports import Entry, Stored
from app.runtime.recent import Recent
from app.runtime.topics import STATE, key_of, records_of

WARDENS = {"trades": "candles", "signals": "portfolio", "instruments": "market"}
"""The topics on which foreign bytes may stand, and the stage that reports them."""

ENTERED = frozenset({*WARDENS, "snapshots", "dead-letters", "forks"} - {"signals"})
"""The topics, besides those of the states, whose records name themselves."""

_FIELDS = {"state": "key", "fork": "fork_id"}  # the other kinds of key are named like the field

LONGEST_PAYLOAD = 500_000  # as base64 it still fits the broker's largest message


class OwnRecordError(BugError):
    """A record of our own could not be taken: the log is not what our code wrote."""


def admit(stored: Stored, stage: Stage, recent: Recent | None = None) -> Message | list[Entry]:
    """Return the message in `stored`, or the dead letter that reports it (none from others).

    Args:
        stored: What was read.
        stage: Who read it.
        recent: What this process's other readers have admitted; it is added to.

    Raises:
        OwnRecordError: The bytes stand where only our own records may, or claim to be one.
    """
    return admit_for(stored, stage.name, recent)


def admit_for(stored: Stored, reader: str, recent: Recent | None = None) -> Message | list[Entry]:
    """Do as `admit` for a reader by its name."""
    known = None if recent is None else recent.get(stored)
    if known is not None:
        return known
    try:
        message = stored.message or decode(stored.value or b"")
        _check(stored, message)
    except DecodeError as error:
        return _refuse(stored, reader, str(error))
    if recent is not None and stored.message is None:
        recent.put(stored, message)
    return message


def _check(stored: Stored, message: Message) -> None:
    """Check that a decoded record may stand on that topic under that key."""
    record = message.record
    if record.TYPE not in records_of(stored.topic):
        raise DecodeError(f"a record of type {record.TYPE!r} does not belong on {stored.topic}")
    if _is_foreign(stored.topic, message):
        raise DecodeError(f"a {record.TYPE} on {stored.topic} was not written by its stage")
    key = _key(stored.topic, record)
    if key.encode() != stored.key:
        raise DecodeError(f"the key was {stored.key!r}, but the record is for {key!r}")
    if message.identity is not None and message.identity.destination != key:
        raise DecodeError(f"the identity was {message.identity}, but the record is for {key!r}")


def _is_foreign(topic: str, message: Message) -> bool:
    """Return whether nobody of ours writes such a record there: whose it is, who made it."""
    if topic.startswith(STATE):
        return f"{STATE}{getattr(message.record, 'stage', '')}" != topic
    entered = topic in ENTERED or isinstance(message.record, Command)
    return entered != (message.identity is None)


def _key(topic: str, record: Record) -> str:
    """Return the key under which a record stands on a topic."""
    if isinstance(record, Claim | Progress):
        return f"!{record.TYPE}"
    name = key_of(topic)
    value = getattr(record, _FIELDS.get(name, name))
    return value.name if isinstance(value, Account) else str(value)


def _refuse(stored: Stored, reader: str, reason: str) -> list[Entry]:
    warden = WARDENS.get(stored.topic)
    if warden is None or (stored.topic == "signals" and _claims_identity(stored.value)):
        raise OwnRecordError(
            f"{stored.topic}/{stored.partition}/{stored.offset} could not be taken: {reason}. Only "
            f"our own stages write there, so the log or the code is damaged: look at it with "
            f"`lockstep topics read {stored.topic} --partition {stored.partition} --offset "
            f"{stored.offset}`, then start a new run (kafka.prefix)."
        )
    return [dead_letter(stored, reader, reason)] if reader == warden else []


def dead_letter(stored: Stored, reader: str, reason: str) -> Entry:
    """Return the dead letter for bytes that could not be processed."""
    value = stored.value or b""
    letter = DeadLetter(
        topic=stored.topic,
        partition=stored.partition,
        offset=stored.offset,
        key=readable(stored.key)[:1000],
        stage=reader,
        reason=reason[:1000],
        payload=base64.b64encode(value[:LONGEST_PAYLOAD]).decode(),
        size=len(value),
    )
    return Entry("dead-letters", stored.topic.encode(), encode(Message(letter)))


def _claims_identity(value: bytes | None) -> bool:
    """Return whether the bytes say that one of our stages made them; no command can."""
    try:
        document = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return False
    if type(document) is not dict or "id" not in document:
        return False
    tag = document.get("type")
    return type(tag) is str and tag in records_of("signals") - {Command.TYPE}
