"""Values of known types enter, what JSON can hold leaves, or a refusal of what couldn't be read."""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from decimal import Decimal
from enum import Enum
from typing import Any

import orjson

from app.core.columns import DecimalColumn, Decimals, IntegerColumn, Integers
from app.core.decimals import plain
from app.core.events import Account
from app.core.written import Written
from app.runtime.wire import (
    DECIMAL,
    DECIMALS,
    LONGEST_LIST,
    MOST_DIGITS,
    MOST_KEPT,
    SHOWN,
    RefusedError,
    Step,
    inner,
    inside,
    optionally,
)


@functools.cache
def encoder(hint: Any) -> Step:
    """Return the function that turns a value of a type into what JSON can hold."""
    if hint in _WRITERS:
        return _WRITERS[hint]
    if dataclasses.is_dataclass(hint):
        write = _write_dataclass(typing.cast("type", hint))
        return _write_once(write) if hint is Account else write
    if isinstance(hint, type) and issubclass(hint, Enum):
        return functools.partial(_write_enum, hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return _write_tuple(arguments)
    if origin is dict and arguments[0] is str:
        return functools.partial(_write_dictionary, encoder(arguments[1]))
    return functools.partial(optionally, encoder(inner(hint)))


def _write_dataclass(cls: type) -> Step:
    hints = typing.get_type_hints(cls)
    writers = [(field.name, encoder(hints[field.name])) for field in dataclasses.fields(cls)]

    def write(value: Any) -> dict[str, Any]:
        if type(value) is not cls:
            raise RefusedError(f"a {cls.__name__}", value)
        try:
            return {name: writer(getattr(value, name)) for name, writer in writers}
        except RefusedError:  # once more, to say where it stood
            return {name: inside(name, writer, getattr(value, name)) for name, writer in writers}

    return write


def _write_once(write: Step) -> Step:
    """Return a writer that keeps what it wrote of a value, which can't be changed.

    An account stands in each of its instruments' epochs, so hundreds of times in every state of its
    books: nearly all of their bytes.
    """
    kept: dict[int, tuple[Any, orjson.Fragment]] = {}

    def write_once(value: Any) -> orjson.Fragment:
        found = kept.get(id(value))
        if found is None or found[0] is not value:
            if len(kept) >= MOST_KEPT:
                kept.clear()
            found = kept[id(value)] = value, orjson.Fragment(orjson.dumps(write(value)))
        return found[1]

    return write_once


def _write_int(value: Any) -> int:
    if type(value) is not int:
        raise RefusedError("an int", value)
    if not -(2**63) <= value < 2**63:
        raise RefusedError("a whole number of at most 64 bits", value)
    return value


def _write_bool(value: Any) -> bool:
    if type(value) is not bool:
        raise RefusedError("a bool", value)
    return value


def _write_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RefusedError("a finite number", value)
    return float(value)


def _write_text(value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise RefusedError("text without NUL characters", value)
    return value


def _write_decimal(value: Any) -> str:
    if type(value) is not Decimal or not value.is_finite():
        raise RefusedError("a finite Decimal", value)
    if not value:
        return "0"
    # Before the text is made: that of 1E+400000000 would take all memory.
    text = plain(value) if -MOST_DIGITS <= value.adjusted() < MOST_DIGITS else ""
    if not text or (len(text) > MOST_DIGITS and DECIMAL.fullmatch(text) is None):
        raise RefusedError("a number of at most 40 digits on either side of the point", value)
    return text


def _write_enum(cls: type[Enum], value: Any) -> Any:
    if type(value) is not cls:
        raise RefusedError(f"a {cls.__name__}", value)
    return value.value


def _write_dictionary(writer: Step, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > LONGEST_LIST:
        raise RefusedError(f"a dictionary of at most {LONGEST_LIST} entries", value)
    return {_write_text(name): inside(name[:SHOWN], writer, item) for name, item in value.items()}


def _write_tuple(arguments: tuple[Any, ...]) -> Step:
    if len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
        write = functools.partial(_write_items, encoder(arguments[0]))
        return functools.partial(_write_ints, write) if arguments[0] is int else write
    return functools.partial(_write_fixed, tuple(map(encoder, arguments)))


def _write_fixed(writers: tuple[Step, ...], value: Any) -> list[Any]:
    if type(value) is not tuple or len(value) != len(writers):
        raise RefusedError(f"a tuple of {len(writers)}", value)
    pairs = enumerate(zip(writers, value, strict=True))
    return [inside(str(place), writer, item) for place, (writer, item) in pairs]


def _write_items(writer: Step, value: Any) -> list[Any]:
    if type(value) is not tuple or len(value) > LONGEST_LIST:
        raise RefusedError(f"a tuple of at most {LONGEST_LIST}", value)
    try:
        return [writer(item) for item in value]
    except RefusedError:  # once more, to say where it stood
        return [inside(str(place), writer, item) for place, item in enumerate(value)]


def _write_ints(write: Step, value: Any) -> list[Any]:
    if type(value) is tuple and len(value) <= LONGEST_LIST and set(map(type, value)) == {int}:
        return list(value)  # JSON's writer refuses what has more than 64 bits
    items: list[Any] = write(value)
    return items


def _write_integers(value: Any) -> list[Any]:
    column: list[Any] = encoder(tuple[int, ...])(tuple(value) if type(value) is Integers else value)
    return column


def _write_amounts(value: Any) -> list[Any]:
    if type(value) is Decimals:
        value = tuple(value)
    return _write_items(_write_decimal, value)


def _write_written(items: Any, value: Any) -> list[Any]:
    if type(value) is not Written:
        raise RefusedError("a written column", value)
    texts = value.texts()
    if len(texts) <= LONGEST_LIST and DECIMALS.fullmatch(",".join(texts)):
        return texts
    column: list[Any] = encoder(items)(tuple(value))
    return column


_WRITERS: dict[Any, Step] = {
    int: _write_int,
    bool: _write_bool,
    float: _write_float,
    str: _write_text,
    Decimal: _write_decimal,
    DecimalColumn: _write_amounts,
    IntegerColumn: _write_integers,
    Written[Decimal]: functools.partial(_write_written, tuple[Decimal, ...]),
    Written[Decimal | None]: functools.partial(_write_written, tuple[Decimal | None, ...]),
}
