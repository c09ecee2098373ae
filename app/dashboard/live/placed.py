"""Bytes as they stood on a topic enter; a message that knows its place, and its JSON, leave."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from app.core.events import Message
from app.runtime.codec import decode
from app.runtime.ports import Place

LONGEST_PAYLOAD = 4_096


@dataclass(frozen=True, slots=True)
class Placed(Message):
    """A message as it was read by a viewer's server.

    Attributes:
        place: The partition, by its topic's logical name.
        offset: Where in it.
        at: When the broker appended it, milliseconds since the epoch UTC.
        encoded: The message and its place as the API gives them, JSON.
    """

    place: Place = Place("", 0)  # noqa: RUF009 - a tuple, which nobody can change
    offset: int = 0
    at: int = 0
    encoded: bytes = b""


def placed(place: Place, offset: int, at: int, raw: bytes | None) -> Placed:
    """Return the message that stands there; raises DecodeError."""
    message = decode(raw)
    document = {
        "topic": place.topic,
        "partition": place.partition,
        "offset": offset,
        "at": at,
        "record": orjson.Fragment(_shown(message, raw or b"")),
    }
    return Placed(
        message.record, message.identity, message.origin, place, offset, at, orjson.dumps(document)
    )


def _shown(message: Message, raw: bytes) -> bytes:
    """Return a record's bytes; of a dead letter, whose bytes may be many, only a beginning."""
    if message.record.TYPE != "dead_letter":
        # Between events of a stream a line ends; within JSON a line's end is only a space.
        return raw.replace(b"\n", b" ").replace(b"\r", b" ")
    document = orjson.loads(raw)
    document["payload"] = document["payload"][:LONGEST_PAYLOAD]
    return orjson.dumps(document)
