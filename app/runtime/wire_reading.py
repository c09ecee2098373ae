"""Parsed JSON enters, values of exactly the types that were asked for leave, or a refusal."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import typing
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Any, NoReturn

import numpy as np
import orjson

from app.core.columns import MOST_UNITS, DecimalColumn, Decimals, IntegerColumn, Integers
from app.core.events import Account
from app.core.written import Written
from app.runtime.wire import (
    DECIMAL,
    DECIMALS,
    LONGEST_LIST,
    MOST_KEPT,
    SHOWN,
    RefusedError,
    Step,
    inner,
    inside,
    optionally,
)

MANY = 12
"""Rows from which on a column of decimals is read as whole numbers; below, it costs more."""

LONG = 200
"""Rows from which on a column of integers is read as an array; below, too, it would save memory,
but cost up to a third more to read."""

PLACES = (4, 8)
"""Decimal places that columns are tried with."""

LONGEST_EXACT = 16
"""Characters of a number of 15 digits and a point."""


@functools.cache
def decoder(hint: Any) -> Step:
    """Return the function that reads a value of a type from parsed JSON."""
    if hint in _READERS:
        return _READERS[hint]
    if dataclasses.is_dataclass(hint):
        read = _read_dataclass(typing.cast("type", hint))
        return _read_once(read) if hint is Account else read
    if isinstance(hint, type) and issubclass(hint, Enum):
        return functools.partial(_read_enum, {member.value: member for member in hint})
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return _read_tuple(arguments)
    if origin is dict and arguments[0] is str:
        return functools.partial(_read_dictionary, decoder(arguments[1]))
    return functools.partial(optionally, decoder(inner(hint)))


def _read_dataclass(cls: type) -> Step:
    hints = typing.get_type_hints(cls)
    readers = [(field.name, decoder(hints[field.name])) for field in dataclasses.fields(cls)]
    names = frozenset(name for name, _ in readers)

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise RefusedError("an object", value)
        if value.keys() != names:
            _refuse_names(names, value)
        try:
            arguments = [reader(value[name]) for name, reader in readers]
        except RefusedError:  # once more, to say where it stood
            arguments = [inside(name, reader, value[name]) for name, reader in readers]
        try:
            return cls(*arguments)
        except ValueError as error:
            raise RefusedError(f"valid ({error})", value) from error

    return read


def _read_once(read: Step) -> Step:
    """Return a reader that gives one value, which can't be changed, for what says the same.

    An account stands in each of its instruments' epochs, which every stage holds: with hundreds of
    instruments thousands of times.
    """
    kept: dict[bytes, Any] = {}

    def read_once(value: Any) -> Any:
        text = orjson.dumps(value)
        found = kept.get(text)
        if found is None:
            found = read(value)
            if len(kept) >= MOST_KEPT:
                kept.clear()
            kept[text] = found
        return found

    return read_once


def _refuse_names(names: frozenset[str], value: dict[str, Any]) -> NoReturn:
    for name in sorted(names - value.keys()):
        raise RefusedError("present", "missing", name)
    for name in sorted(value.keys() - names):
        raise RefusedError("absent, since no such field is known", value[name], name[:SHOWN])
    raise AssertionError  # pragma: no cover - one of the two differs, or nobody calls


def _read_int(value: Any) -> int:
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise RefusedError("a whole number of at most 64 bits", value)
    return value


def _read_bool(value: Any) -> bool:
    if type(value) is not bool:
        raise RefusedError("true or false", value)
    return value


def _read_float(value: Any) -> float:
    if type(value) is not float or not math.isfinite(value):
        raise RefusedError("a finite number with a decimal point", value)
    return value


def read_text(value: Any) -> str:
    """Return a text; PostgreSQL could not store one with a NUL in it."""
    if type(value) is not str or "\x00" in value:
        raise RefusedError("text without NUL characters", value)
    return value


def _read_decimal(value: Any) -> Decimal:
    if type(value) is not str or DECIMAL.fullmatch(value) is None:
        raise RefusedError("a string in fixed notation, at most 40 digits on either side", value)
    return Decimal(value)


def _read_enum(members: dict[str, Enum], value: Any) -> Enum:
    member = members.get(value) if type(value) is str else None
    if member is None:
        raise RefusedError(f"one of {', '.join(map(str, members))}", value)
    return member


def _read_dictionary(reader: Step, value: Any) -> dict[str, Any]:
    if type(value) is not dict or len(value) > LONGEST_LIST:
        raise RefusedError(f"an object of at most {LONGEST_LIST} entries", value)
    return {read_text(name): inside(name[:SHOWN], reader, item) for name, item in value.items()}


def _read_tuple(arguments: tuple[Any, ...]) -> Step:
    if len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004 - tuple[X, ...]
        reader = decoder(arguments[0])
        return functools.partial(_COLUMNS.get(arguments[0], _read_items), reader)
    return functools.partial(_read_fixed, tuple(map(decoder, arguments)))


def _read_fixed(readers: tuple[Step, ...], value: Any) -> tuple[Any, ...]:
    if type(value) is not list or len(value) != len(readers):
        raise RefusedError(f"an array of {len(readers)}", value)
    pairs = enumerate(zip(readers, value, strict=True))
    return tuple(inside(str(place), reader, item) for place, (reader, item) in pairs)


def _read_items(reader: Step, value: Any) -> tuple[Any, ...]:
    if type(value) is not list or len(value) > LONGEST_LIST:
        raise RefusedError(f"an array of at most {LONGEST_LIST}", value)
    try:
        return tuple(map(reader, value))
    except RefusedError:  # once more, to say where it stood
        return tuple(inside(str(place), reader, item) for place, item in enumerate(value))


# Columns of thousands of rows are checked as a whole, and item by item only to name what is wrong.


def _read_plain_column(kind: type, reader: Step, value: Any) -> tuple[Any, ...]:
    if type(value) is list and len(value) <= LONGEST_LIST and set(map(type, value)) == {kind}:
        return tuple(value)
    return _read_items(reader, value)


def _read_decimal_column(reader: Step, value: Any) -> tuple[Any, ...]:
    if type(value) is not list or len(value) > LONGEST_LIST or set(map(type, value)) != {str}:
        return _read_items(reader, value)
    joined = ",".join(value)
    if joined.count(",") == len(value) - 1 and DECIMALS.fullmatch(joined):
        return tuple(map(Decimal, value))
    return _read_items(reader, value)


def _read_written(items: Any, value: Any) -> Written[Any]:
    return Written(decoder(items)(value))


def _read_integers(value: Any) -> IntegerColumn:
    """Return a column as an array where it has many rows; JSON's reader lets in 64 bits."""
    if (
        type(value) is list
        and LONG <= len(value) <= LONGEST_LIST
        and set(map(type, value)) == {int}
    ):
        with contextlib.suppress(OverflowError):  # or one bit more
            return Integers(np.array(value, np.int64))
    return _read_plain_column(int, _read_int, value)


def _read_amounts(value: Any) -> DecimalColumn:
    """Return a column as whole numbers where it has many rows and all of them fit."""
    found = None
    if type(value) is list and MANY <= len(value) <= LONGEST_LIST:
        found = _units(value) if set(map(type, value)) == {str} else None
    return _read_decimal_column(_read_decimal, value) if found is None else found


def _units(value: list[str]) -> Decimals | None:
    """Return the column; none where a number is too large, too fine, or perhaps none at all.

    The parser of JSON has the same idea of a number as we, but for signs and exponents. And no two
    numbers of 15 digits have the same double: where a number's is that of `units`, it is they.
    """
    joined = ",".join(value).encode()
    if joined.translate(None, b"0123456789.,") or max(map(len, value)) > LONGEST_EXACT:
        return None
    try:
        numbers = np.array(orjson.loads(b"[%b]" % joined), np.float64)
    except orjson.JSONDecodeError:
        return None
    if len(numbers) != len(value) or numbers.max() >= MOST_UNITS:
        return None
    for places in PLACES:
        units = np.rint(numbers * 10**places)
        if np.array_equal(units / 10**places, numbers):
            fits = units.max() < MOST_UNITS
            return Decimals(units.astype(np.int64), places) if fits else None
    return None


_READERS: dict[Any, Step] = {
    int: _read_int,
    bool: _read_bool,
    float: _read_float,
    str: read_text,
    Decimal: _read_decimal,
    DecimalColumn: _read_amounts,
    IntegerColumn: _read_integers,
    Written[Decimal]: functools.partial(_read_written, tuple[Decimal, ...]),
    Written[Decimal | None]: functools.partial(_read_written, tuple[Decimal | None, ...]),
}
_COLUMNS: dict[Any, Callable[[Step, Any], tuple[Any, ...]]] = {
    int: functools.partial(_read_plain_column, int),
    bool: functools.partial(_read_plain_column, bool),
    Decimal: _read_decimal_column,
}
