"""Columns of many rows as arrays: they leave exactly as they came, and need far less memory.

A decimal is a whole number of one scale there, so that sums of a column leave without rounding.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar, overload

from app.core.decimals import shifted

if TYPE_CHECKING:  # whoever makes a column has it; who only knows of columns need not wait for it
    import numpy as np
    from numpy.typing import NDArray

    Units = NDArray[np.int64]

Item = TypeVar("Item")

MOST_UNITS = 2**48
"""What a unit must be below. So that nothing overflows 64 bits: a column has at most 10,000 rows,
and the products of two halves of 24 bits, summed over all of them, stay below 2^63."""

_HALF = 24
_LOW = 2**_HALF - 1


class _Column(Sequence[Item]):
    """It equals the tuple of its items, but is no key: no record is one.

    Attributes:
        units: A whole number of 64 bits for each item; they can't be changed.
    """

    __slots__ = ("units",)

    def __init__(self, units: Units) -> None:
        units.setflags(write=False)
        self.units = units

    def __len__(self) -> int:
        return len(self.units)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(tuple(self))


class Integers(_Column[int]):
    """Whole numbers."""

    __slots__ = ()

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[int, ...]: ...
    def __getitem__(self, index: int | slice) -> int | tuple[int, ...]:
        if isinstance(index, slice):
            return tuple(self.units[index].tolist())
        return self.units.item(index)

    def __iter__(self) -> Iterator[int]:
        return iter(self.units.tolist())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Integers):
            return self.units.tobytes() == other.units.tobytes()
        return tuple(self) == other if isinstance(other, tuple) else NotImplemented

    __hash__ = None


IntegerColumn = tuple[int, ...] | Integers
"""Either form of a column: many rows stand in an array, few as Python's integers."""


def rises(column: IntegerColumn) -> bool:
    """Return whether each row is more than the one before it."""
    if isinstance(column, Integers):
        return bool((column.units[1:] > column.units[:-1]).all())
    return not any(map(operator.le, column[1:], column))


def bounds(column: IntegerColumn, start: int = 0, stop: int | None = None) -> tuple[int, int]:
    """Return the least and the most of rows `start` to `stop` (exclusive, at least one)."""
    if isinstance(column, Integers):
        units = column.units[start:stop]
        return int(units.min()), int(units.max())
    rows = column[start:stop]
    return min(rows), max(rows)


def covers(first: IntegerColumn, last: IntegerColumn) -> bool:
    """Return whether no row of `first` is more than that of `last`."""
    if isinstance(first, Integers) and isinstance(last, Integers):
        return bool((first.units <= last.units).all())
    return all(map(operator.le, first, last))


class Decimals(_Column[Decimal]):
    """Decimals, each as a whole number of 10^-places, exactly.

    Attributes:
        units: Each number times 10^places, 0 to 2^48.
        places: Decimal places of a unit.
    """

    __slots__ = ("places",)

    def __init__(self, units: Units, places: int) -> None:
        super().__init__(units)
        self.places = places

    @overload
    def __getitem__(self, index: int) -> Decimal: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Decimal, ...]: ...
    def __getitem__(self, index: int | slice) -> Decimal | tuple[Decimal, ...]:
        if isinstance(index, slice):
            return tuple(map(self.decimal, self.units[index].tolist()))
        return self.decimal(self.units.item(index))

    def __iter__(self) -> Iterator[Decimal]:
        return map(self.decimal, self.units.tolist())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Decimals | tuple):
            return tuple(self) == tuple(other)
        return NotImplemented

    __hash__ = None

    def decimal(self, units: int) -> Decimal:
        """Return so many units, with no zeros at the end: as it is written."""
        places = self.places
        while places and not units % 10:
            units //= 10
            places -= 1
        return shifted(units, places)


DecimalColumn = tuple[Decimal, ...] | Decimals
"""Either form of a column: many rows are read as whole numbers, few as decimals."""


def sum_of_products(first: Units, second: Units) -> int:
    """Return the exact sum of first x second, of units below 2^48."""
    high, low = first >> _HALF, first & _LOW
    upper, lower = second >> _HALF, second & _LOW
    middle = int(high @ lower) + int(low @ upper)
    return (int(high @ upper) << 2 * _HALF) + (middle << _HALF) + int(low @ lower)
