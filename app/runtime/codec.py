"""Messages and states enter and leave as JSON bytes or text, typed and strict in both directions.

The wire form of a message is one JSON object: `type`, then `id` and `origin` of a derived record,
then the record's fields in the order of their definition. Decimals are strings in plain fixed
notation, enums their values, tuples arrays, dictionaries objects, None null. Whatever `encode`
writes `decode` reads; whatever `decode` would refuse `encode` refuses first, so that a record that
can't be read is never written. Of others `decode` takes the same record written in another way:
spaces, another order of the fields, escaped characters, zeros at the end of a decimal. A field that
stands there twice is refused, because readers differ in which of the two they take.
"""

from __future__ import annotations

import json
import re
import typing
from typing import Any, TypeVar

import orjson

from app.core.events import RECORDS, Epoch, History, Identity, Join, Leave, Message, Record
from app.runtime.wire import SHOWN, RefusedError, inside
from app.runtime.wire_reading import decoder, read_text
from app.runtime.wire_writing import encoder

S = TypeVar("S")

LARGEST_BYTES = 2 * 1024 * 1024
"""The largest encoded message; larger bytes are refused before they are parsed."""

LONGEST_ORIGIN = 500
_IDENTITY = re.compile(rb'\{"type":"[a-z_]+","id":"([^"\\]+)"')
_ORIGIN = re.compile(r"[A-Za-z0-9:_.\-/,]+")
_PASSED_ON: frozenset[type] = frozenset({Epoch, History, Join, Leave})


class DecodeError(ValueError):
    """Bytes were not a valid message, or text not a valid state; the sentence says why."""


class EncodeError(ValueError):
    """A message or state held a value that could not be read again; the sentence says which."""


def encode(message: Message) -> bytes:
    """Return the one wire form of a message; raises EncodeError."""
    record = message.record
    document: dict[str, Any] = {"type": record.TYPE}
    try:
        _check_lineage(type(record), message.identity, message.origin)
        if message.identity is not None:
            document["id"] = str(message.identity)
            document["origin"] = message.origin
        document.update(encoder(type(record))(record))
        return _dump(document)
    except RefusedError as error:
        error.inside(record.TYPE)
        raise EncodeError(str(error)) from None


def decode(raw: bytes | None) -> Message:
    """Return the message that the bytes hold; raises DecodeError, and nothing else."""
    place = ""
    try:
        document = _load(raw)
        cls = _take_type(document)
        place = cls.TYPE
        identity, origin = _take_lineage(cls, document)
        return Message(decoder(cls)(document), identity, origin)
    except RefusedError as error:
        if place:
            error.inside(place)
        raise DecodeError(str(error)) from None


def identity_of(raw: bytes | None) -> Identity | None:
    """Return the identity of a derived record; none for what entered, and for other bytes."""
    value = raw or b""
    found = _IDENTITY.match(value)
    try:
        if found is not None:
            return Identity.parse(found[1].decode())
        # Another form of the same record, as no stage writes it, is still that record.
        return decode(value).identity if b'"id"' in value[:200] else None
    except (DecodeError, ValueError):
        return None


def encode_state(state: object) -> str:
    """Return the one JSON text of a frozen dataclass; raises EncodeError."""
    try:
        return _dump(encoder(typing.cast("Any", type(state)))(state)).decode()
    except RefusedError as error:
        error.inside(type(state).__name__)
        raise EncodeError(str(error)) from None


def decode_state(cls: type[S], text: str) -> S:
    """Return the state that the text holds; raises DecodeError, and nothing else."""
    try:
        return typing.cast(
            "S", decoder(typing.cast("Any", cls))(_load(text.encode(errors="replace")))
        )
    except RefusedError as error:
        error.inside(cls.__name__)
        raise DecodeError(str(error)) from None


def readable(raw: bytes | None) -> str:
    """Return any bytes as text that a record may hold, what is not text escaped."""
    return (raw or b"").decode(errors="backslashreplace").replace("\x00", "\\x00")


def _load(raw: bytes | None) -> Any:
    if raw is None:
        raise RefusedError("a JSON object", None)
    if len(raw) > LARGEST_BYTES:
        raise RefusedError(f"at most {LARGEST_BYTES} bytes and had {len(raw)}", raw[:SHOWN])
    try:
        document = orjson.loads(raw)
        if orjson.dumps(document) != raw:
            _check_foreign(raw.decode())
    except (ValueError, TypeError, RecursionError) as error:
        if isinstance(error, RefusedError):
            raise
        raise RefusedError(f"JSON ({error})", raw[:SHOWN]) from error
    return document


def _check_foreign(text: str) -> None:
    """Refuse what the fast parser reads but can't hold: a field twice, more than 64 bits."""
    json.loads(text, object_pairs_hook=_unique, parse_int=_of_64_bits)


def _unique(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(names) != len(dict.fromkeys(names)):
        twice = next(name for name in names if names.count(name) > 1)
        raise RefusedError("there once", "there twice", twice[:SHOWN])


def _of_64_bits(digits: str) -> None:
    if digits == "-0" or not -(2**63) <= int(digits) < 2**63:
        raise RefusedError("a whole number of at most 64 bits, zero without a sign", digits)


def _dump(document: Any) -> bytes:
    try:
        raw = orjson.dumps(document)
    except TypeError as error:
        raise RefusedError(f"something JSON can hold ({error})", document) from error
    if len(raw) > LARGEST_BYTES:
        raise RefusedError(f"at most {LARGEST_BYTES} bytes and had {len(raw)}", raw[:SHOWN])
    return raw


def _names_itself(cls: type[Record]) -> bool:
    return hasattr(cls, "name")


def _check_lineage(cls: type[Record], identity: Identity | None, origin: object) -> None:
    """Refuse an identity where none belongs, a missing one where it does; origins likewise."""
    if identity is None:
        if not _names_itself(cls):
            raise RefusedError("stage/source/destination/number", None, "id")
        if origin is not None:
            raise RefusedError("absent where there is no id", origin, "origin")
        return
    if _names_itself(cls) and cls not in _PASSED_ON:
        raise RefusedError("absent from a record that names itself", str(identity), "id")
    text = inside("origin", read_text, origin)
    if len(text) > LONGEST_ORIGIN or _ORIGIN.fullmatch(text) is None:
        raise RefusedError(f"the name of a record, 1 to {LONGEST_ORIGIN} long", origin, "origin")


def _take_type(document: Any) -> type[Record]:
    if type(document) is not dict:
        raise RefusedError("a JSON object", document)
    tag = document.pop("type", None)
    cls = RECORDS.get(tag) if type(tag) is str else None
    if cls is None:
        raise RefusedError("a known type of record", tag, "type")
    return cls


def _take_lineage(
    cls: type[Record], document: dict[str, Any]
) -> tuple[Identity | None, str | None]:
    """Take identity and origin out of a document; where none belong they stay, as fields."""
    if _names_itself(cls) and (cls not in _PASSED_ON or "id" not in document):
        return None, None
    text = inside("id", read_text, document.pop("id", None))
    origin = document.pop("origin", None)
    try:
        identity = Identity.parse(text)
    except ValueError as error:
        raise RefusedError(f"an identity ({error})", text, "id") from error
    _check_lineage(cls, identity, origin)
    return identity, origin
