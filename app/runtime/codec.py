"""Messages and states enter and leave as JSON bytes or text, typed and strict in both directions.

The wire form of a message is one JSON object: `type`, then `id` and `origin` of a derived record,
then the record's fields in the order of their definition. Decimals are strings in plain fixed
notation, enums their values, tuples arrays, dictionaries objects, None null. Whatever `encode`
writes `decode` reads; whatever `decode` would refuse `encode` refuses first, so that a record that
can't be read is never written.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import types
import typing
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Any, NoReturn, TypeVar

import orjson

from app.core.decimals import plain
from app.core.events import RECORDS, Epoch, History, Identity, Join, Leave, Message, Record

LARGEST_BYTES = 2 * 1024 * 1024
"""The largest encoded message; larger bytes are refused before they are parsed."""

LONGEST_LIST = 100_000
"""The most items of one array or object."""

LONGEST_ORIGIN = 500
SHOWN = 80

_NUMBER = r"-?(?:0|[1-9][0-9]{0,39})(?:\.[0-9]{1,40})?"
_DECIMAL = re.compile(_NUMBER)
_DECIMALS = re.compile(f"{_NUMBER}(?:,{_NUMBER})*")
_SURELY_PLAIN = 40  # a text this short can't have more than 40 digits on either side

_PASSED_ON: frozenset[type] = frozenset({Epoch, History, Join, Leave})

Step = Callable[[Any], Any]
S = TypeVar("S")


class DecodeError(ValueError):
    """Bytes were not a valid message, or text not a valid state; the sentence says why."""


class EncodeError(ValueError):
    """A message or state held a value that could not be read again; the sentence says which."""


class _RefusedError(ValueError):
    """A value had no place in the wire form; every level it passes adds where it stood."""

    def __init__(self, must: str, value: object, path: str = "") -> None:
        super().__init__(must, value, path)
        self.must = must
        self.value = value
        self.path = path

    def inside(self, name: str) -> None:
        """Note that the refused value stood in the field, or at the place, `name`."""
        self.path = f"{name}.{self.path}" if self.path else name

    def __str__(self) -> str:
        return f"{self.path or 'the value'} was {_shown(self.value)}, must be {self.must}"


def encode(message: Message) -> bytes:
    """Return the one wire form of a message; raises EncodeError."""
    record = message.record
    document: dict[str, Any] = {"type": record.TYPE}
    try:
        _check_lineage(type(record), message.identity, message.origin)
        if message.identity is not None:
            document["id"] = str(message.identity)
            document["origin"] = message.origin
        document.update(_encoder(type(record))(record))
        return _dump(document)
    except _RefusedError as error:
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
        return Message(_decoder(cls)(document), identity, origin)
    except _RefusedError as error:
        if place:
            error.inside(place)
        raise DecodeError(str(error)) from None


def encode_state(state: object) -> str:
    """Return the one JSON text of a frozen dataclass; raises EncodeError."""
    try:
        return _dump(_encoder(typing.cast("Any", type(state)))(state)).decode()
    except _RefusedError as error:
        error.inside(type(state).__name__)
        raise EncodeError(str(error)) from None


def decode_state(cls: type[S], text: str) -> S:
    """Return the state that the text holds; raises DecodeError, and nothing else."""
    try:
        return typing.cast(
            "S", _decoder(typing.cast("Any", cls))(_load(text.encode(errors="replace")))
        )
    except _RefusedError as error:
        error.inside(cls.__name__)
        raise DecodeError(str(error)) from None


def readable(raw: bytes | None) -> str:
    """Return any bytes as text that a record may hold, what is not text escaped."""
    return (raw or b"").decode(errors="backslashreplace").replace("\x00", "\\x00")


def _load(raw: bytes | None) -> Any:
    if raw is None:
        raise _RefusedError("a JSON object", None)
    if len(raw) > LARGEST_BYTES:
        raise _RefusedError(f"at most {LARGEST_BYTES} bytes and had {len(raw)}", raw[:SHOWN])
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _RefusedError(f"JSON ({error})", raw[:SHOWN]) from error


def _dump(document: Any) -> bytes:
    try:
        raw = orjson.dumps(document)
    except TypeError as error:
        raise _RefusedError(f"something JSON can hold ({error})", document) from error
    if len(raw) > LARGEST_BYTES:
        raise _RefusedError(f"at most {LARGEST_BYTES} bytes and had {len(raw)}", raw[:SHOWN])
    return raw


def _names_itself(cls: type[Record]) -> bool:
    return hasattr(cls, "name")


def _check_lineage(cls: type[Record], identity: Identity | None, origin: object) -> None:
    """Refuse an identity where none belongs, a missing one where it does; origins likewise."""
    if identity is None:
        if not _names_itself(cls):
            raise _RefusedError("stage/source/destination/number", None, "id")
        if origin is not None:
            raise _RefusedError("absent where there is no id", origin, "origin")
        return
    if _names_itself(cls) and cls not in _PASSED_ON:
        raise _RefusedError("absent from a record that names itself", str(identity), "id")
    if not 0 < len(_inside("origin", _read_text, origin)) <= LONGEST_ORIGIN:
        raise _RefusedError(f"the name of a record, 1 to {LONGEST_ORIGIN} long", origin, "origin")


def _take_type(document: Any) -> type[Record]:
    if type(document) is not dict:
        raise _RefusedError("a JSON object", document)
    tag = document.pop("type", None)
    cls = RECORDS.get(tag) if type(tag) is str else None
    if cls is None:
        raise _RefusedError("a known type of record", tag, "type")
    return cls


def _take_lineage(
    cls: type[Record], document: dict[str, Any]
) -> tuple[Identity | None, str | None]:
    """Take identity and origin out of a document; where none belong they stay, as fields."""
    if _names_itself(cls) and (cls not in _PASSED_ON or "id" not in document):
        return None, None
    text = _inside("id", _read_text, document.pop("id", None))
    origin = document.pop("origin", None)
    try:
        identity = Identity.parse(text)
    except ValueError as error:
        raise _RefusedError(f"an identity ({error})", text, "id") from error
    _check_lineage(cls, identity, origin)
    return identity, origin


def _shown(value: object) -> str:
    if isinstance(value, str | bytes):
        return repr(value[:SHOWN])
    return repr(value)[:SHOWN]


# --- reading ------------------------------------------------------------------------------------


@functools.cache
def _decoder(hint: Any) -> Step:
    """Return the function that reads a value of a type from parsed JSON."""
    if hint in _READERS:
        return _READERS[hint]
    if dataclasses.is_dataclass(hint):
        return _read_dataclass(typing.cast("type", hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return functools.partial(_read_enum, {member.value: member for member in hint})
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return _read_tuple(arguments)
    if origin is dict and arguments[0] is str:
        return functools.partial(_read_dictionary, _decoder(arguments[1]))
    return functools.partial(_optionally, _decoder(_optional(hint)))


def _optional(hint: Any) -> Any:
    """Return X of X | None, the only union there is a wire form for."""
    inner = [part for part in typing.get_args(hint) if part is not types.NoneType]
    if typing.get_origin(hint) not in (typing.Union, types.UnionType) or len(inner) != 1:
        raise TypeError(f"{hint} was in a record or a state, but has no wire form")
    return inner[0]


def _read_dataclass(cls: type) -> Step:
    hints = typing.get_type_hints(cls)
    readers = [(field.name, _decoder(hints[field.name])) for field in dataclasses.fields(cls)]
    names = frozenset(name for name, _ in readers)

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise _RefusedError("an object", value)
        if value.keys() != names:
            _refuse_names(names, value)
        arguments = [_inside(name, reader, value[name]) for name, reader in readers]
        try:
            return cls(*arguments)
        except ValueError as error:
            raise _RefusedError(f"valid ({error})", value) from error

    return read


def _inside(name: str, step: Step, value: Any) -> Any:
    try:
        return step(value)
    except _RefusedError as error:
        error.inside(name)
        raise


def _refuse_names(names: frozenset[str], value: dict[str, Any]) -> NoReturn:
    for name in sorted(names - value.keys()):
        raise _RefusedError("present", "missing", name)
    for name in sorted(value.keys() - names):
        raise _RefusedError("absent, since no such field is known", value[name], name[:SHOWN])
    raise AssertionError  # pragma: no cover - one of the two differs, or nobody calls


def _read_int(value: Any) -> int:
    if type(value) is not int:
        raise _RefusedError("a whole number of at most 64 bits", value)
    return value


def _read_bool(value: Any) -> bool:
    if type(value) is not bool:
        raise _RefusedError("true or false", value)
    return value


def _read_float(value: Any) -> float:
    if type(value) is not float or not math.isfinite(value):
        raise _RefusedError("a finite number with a decimal point", value)
    return value


def _read_text(value: Any) -> str:
    if type(value) is not str or "\x00" in value:
        raise _RefusedError("text without NUL characters", value)
    return value


def _read_decimal(value: Any) -> Decimal:
    if type(value) is not str or _DECIMAL.fullmatch(value) is None:
        raise _RefusedError("a string in fixed notation, at most 40 digits on either side", value)
    return Decimal(value)


def _read_enum(members: dict[str, Enum], value: Any) -> Enum:
    member = members.get(value) if type(value) is str else None
    if member is None:
        raise _RefusedError(f"one of {', '.join(map(str, members))}", value)
    return member


def _optionally(step: Step, value: Any) -> Any:
    return None if value is None else step(value)


def _read_dictionary(reader: Step, value: Any) -> dict[str, Any]:
    if type(value) is not dict or len(value) > LONGEST_LIST:
        raise _RefusedError(f"an object of at most {LONGEST_LIST} entries", value)
    return {_read_text(name): _inside(name[:SHOWN], reader, item) for name, item in value.items()}


def _read_tuple(arguments: tuple[Any, ...]) -> Step:
    if len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
        reader = _decoder(arguments[0])
        return functools.partial(_COLUMNS.get(arguments[0], _read_items), reader)
    return functools.partial(_read_fixed, tuple(map(_decoder, arguments)))


def _read_fixed(readers: tuple[Step, ...], value: Any) -> tuple[Any, ...]:
    if type(value) is not list or len(value) != len(readers):
        raise _RefusedError(f"an array of {len(readers)}", value)
    pairs = enumerate(zip(readers, value, strict=True))
    return tuple(_inside(str(place), reader, item) for place, (reader, item) in pairs)


def _read_items(reader: Step, value: Any) -> tuple[Any, ...]:
    if type(value) is not list or len(value) > LONGEST_LIST:
        raise _RefusedError(f"an array of at most {LONGEST_LIST}", value)
    return tuple(_inside(str(place), reader, item) for place, item in enumerate(value))


# Columns of thousands of rows are checked as a whole, and item by item only to name what is wrong.


def _read_plain_column(kind: type, reader: Step, value: Any) -> tuple[Any, ...]:
    if type(value) is list and len(value) <= LONGEST_LIST and set(map(type, value)) == {kind}:
        return tuple(value)
    return _read_items(reader, value)


def _read_decimal_column(reader: Step, value: Any) -> tuple[Any, ...]:
    if type(value) is not list or len(value) > LONGEST_LIST or set(map(type, value)) != {str}:
        return _read_items(reader, value)
    joined = ",".join(value)
    if joined.count(",") == len(value) - 1 and _DECIMALS.fullmatch(joined):
        return tuple(map(Decimal, value))
    return _read_items(reader, value)


_READERS: dict[Any, Step] = {
    int: _read_int,
    bool: _read_bool,
    float: _read_float,
    str: _read_text,
    Decimal: _read_decimal,
}
_COLUMNS: dict[Any, Callable[[Step, Any], tuple[Any, ...]]] = {
    int: functools.partial(_read_plain_column, int),
    bool: functools.partial(_read_plain_column, bool),
    Decimal: _read_decimal_column,
}


# --- writing ------------------------------------------------------------------------------------


@functools.cache
def _encoder(hint: Any) -> Step:
    """Return the function that turns a value of a type into what JSON can hold."""
    if hint in _WRITERS:
        return _WRITERS[hint]
    if dataclasses.is_dataclass(hint):
        return _write_dataclass(typing.cast("type", hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return functools.partial(_write_enum, hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return _write_tuple(arguments)
    if origin is dict and arguments[0] is str:
        return functools.partial(_write_dictionary, _encoder(arguments[1]))
    return functools.partial(_optionally, _encoder(_optional(hint)))


def _write_dataclass(cls: type) -> Step:
    hints = typing.get_type_hints(cls)
    writers = [(field.name, _encoder(hints[field.name])) for field in dataclasses.fields(cls)]

    def write(value: Any) -> dict[str, Any]:
        if type(value) is not cls:
            raise _RefusedError(f"a {cls.__name__}", value)
        return {name: _inside(name, writer, getattr(value, name)) for name, writer in writers}

    return write


def _write_int(value: Any) -> int:
    if type(value) is not int:
        raise _RefusedError("an int", value)
    if not -(2**63) <= value < 2**63:
        raise _RefusedError("a whole number of at most 64 bits", value)
    return value


def _write_bool(value: Any) -> bool:
    if type(value) is not bool:
        raise _RefusedError("a bool", value)
    return value


def _write_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _RefusedError("a finite number", value)
    return float(value)


def _write_text(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise _RefusedError("text without NUL characters", value)
    return value


def _write_decimal(value: Any) -> str:
    if type(value) is not Decimal or not value.is_finite():
        raise _RefusedError("a finite Decimal", value)
    text = plain(value)
    if len(text) > _SURELY_PLAIN and _DECIMAL.fullmatch(text) is None:
        raise _RefusedError("a number of at most 40 digits on either side of the point", value)
    return text


def _write_enum(cls: type[Enum], value: Any) -> Any:
    if type(value) is not cls:
        raise _RefusedError(f"a {cls.__name__}", value)
    return value.value


def _write_dictionary(writer: Step, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > LONGEST_LIST:
        raise _RefusedError(f"a dictionary of at most {LONGEST_LIST} entries", value)
    return {_write_text(name): _inside(name[:SHOWN], writer, item) for name, item in value.items()}


def _write_tuple(arguments: tuple[Any, ...]) -> Step:
    if len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
        write = functools.partial(_write_items, _encoder(arguments[0]))
        return functools.partial(_write_ints, write) if arguments[0] is int else write
    return functools.partial(_write_fixed, tuple(map(_encoder, arguments)))


def _write_fixed(writers: tuple[Step, ...], value: Any) -> list[Any]:
    if type(value) is not tuple or len(value) != len(writers):
        raise _RefusedError(f"a tuple of {len(writers)}", value)
    pairs = enumerate(zip(writers, value, strict=True))
    return [_inside(str(place), writer, item) for place, (writer, item) in pairs]


def _write_items(writer: Step, value: Any) -> list[Any]:
    if type(value) is not tuple or len(value) > LONGEST_LIST:
        raise _RefusedError(f"a tuple of at most {LONGEST_LIST}", value)
    return [_inside(str(place), writer, item) for place, item in enumerate(value)]


def _write_ints(write: Step, value: Any) -> list[Any]:
    if type(value) is tuple and len(value) <= LONGEST_LIST and set(map(type, value)) == {int}:
        return list(value)  # JSON's writer refuses what has more than 64 bits
    items: list[Any] = write(value)
    return items


_WRITERS: dict[Any, Step] = {
    int: _write_int,
    bool: _write_bool,
    float: _write_float,
    str: _write_text,
    Decimal: _write_decimal,
}
