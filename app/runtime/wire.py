"""What reading and writing the wire form share: its limits, and the refusal of a value."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable
from typing import Any

LONGEST_LIST = 100_000
"""The most items of one array or object."""

MOST_KEPT = 1_000
"""The most accounts of which the text is kept, or what it says: one to three kilobytes each."""

SHOWN = 80
"""The most characters of a refused value that a sentence shows."""

# A zero has no sign: -0 would be another text, and in places another meaning, of the same number.
_NUMBER = r"(?!-0(?:\.0+)?(?![0-9.]))-?(?:0|[1-9][0-9]{0,39})(?:\.[0-9]{1,40})?"
DECIMAL = re.compile(_NUMBER)
DECIMALS = re.compile(f"{_NUMBER}(?:,{_NUMBER})*")
MOST_DIGITS = 40

Step = Callable[[Any], Any]
"""Turns one value of a known type from JSON's into ours, or from ours into JSON's."""


class RefusedError(ValueError):
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
        return (
            f"{_printable(self.path) or 'the value'} was {_shown(self.value)}, must be {self.must}"
        )


def inside(name: str, step: Step, value: Any) -> Any:
    """Apply a step to what stands in the field, or at the place, `name`."""
    try:
        return step(value)
    except RefusedError as error:
        error.inside(name)
        raise


def inner(hint: Any) -> Any:
    """Return X of X | None, the only union there is a wire form for."""
    parts = [part for part in typing.get_args(hint) if part is not types.NoneType]
    if typing.get_origin(hint) not in (typing.Union, types.UnionType) or len(parts) != 1:
        raise TypeError(f"{hint} was in a record or a state, but has no wire form")
    return parts[0]


def optionally(step: Step, value: Any) -> Any:
    """Apply a step to what may be None."""
    return None if value is None else step(value)


def _printable(path: str) -> str:
    """Escape what others may have put into the name of a field: no record can hold a NUL."""
    return path if path.isprintable() else path.encode("unicode_escape").decode("ascii")


def _shown(value: object) -> str:
    if isinstance(value, str | bytes):
        return repr(value[:SHOWN])
    return repr(value)[:SHOWN]
