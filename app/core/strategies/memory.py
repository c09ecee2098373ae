"""A strategy's state enters and leaves as named rows of floats, which any JSON can carry.

A state is a frozen dataclass of int, float, bool, tuples of int or of float, and further such
dataclasses. A nested field is named by its path: `fast.value`. Whole numbers are exact up to 2^53.
"""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, TypeVar

S = TypeVar("S")

Rows = dict[str, tuple[float, ...]]


def pack(state: Any) -> Rows:
    """Return the state as rows, in the order of its fields."""
    rows: Rows = {}
    for item in dataclasses.fields(state):
        value = getattr(state, item.name)
        if dataclasses.is_dataclass(value):
            rows |= {f"{item.name}.{path}": row for path, row in pack(value).items()}
        elif isinstance(value, tuple):
            rows[item.name] = tuple(float(number) for number in value)
        else:
            rows[item.name] = (float(value),)
    return rows


def unpack(cls: type[S], rows: Rows) -> S:
    """Return the state that `pack` made the rows of.

    Raises:
        ValueError: The rows are of another type of state.
    """
    if sorted(rows) != sorted(pack(cls())):
        raise ValueError(
            f"a stored state had the rows {', '.join(rows)[:200]}, but {cls.__name__} has "
            f"{', '.join(pack(cls()))[:200]}: it is of another version of the strategy."
        )
    return _fill(cls, rows, "")


def _fill(cls: type[S], rows: Rows, prefix: str) -> S:
    hints = typing.get_type_hints(cls)
    values = {name: _value(hint, rows, prefix + name) for name, hint in hints.items()}
    return cls(**values)


def _value(hint: Any, rows: Rows, path: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _fill(typing.cast("type[Any]", hint), rows, f"{path}.")
    if typing.get_origin(hint) is tuple:
        kind = typing.get_args(hint)[0]
        return tuple(kind(number) for number in rows[path])
    return hint(rows[path][0])
