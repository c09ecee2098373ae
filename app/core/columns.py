"""A column of exact decimals as whole numbers of one scale: sums of it leave without rounding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, overload

from app.core.decimals import shifted

if TYPE_CHECKING:  # whoever makes a column has it; who only knows of columns need not wait for it
    import numpy as np
    from numpy.typing import NDArray

    Units = NDArray[np.int64]

MOST_UNITS = 2**48
"""What a unit must be below. So that nothing overflows 64 bits: a column has at most 10,000 rows,
and the products of two halves of 24 bits, summed over all of them, stay below 2^63."""

_HALF = 24
_LOW = 2**_HALF - 1


class Decimals(Sequence[Decimal]):
    """Decimals as they were written, and each as a whole number of 10^-places, exactly.

    It equals the tuple of its decimals, but is no key: no record is one.

    Attributes:
        units: Each number times 10^places, 0 to 2^48.
        places: Decimal places of a unit.
    """

    __slots__ = ("_texts", "places", "units")

    def __init__(self, texts: Sequence[str], units: Units, places: int) -> None:
        self._texts = texts
        self.units = units
        self.places = places

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, index: int) -> Decimal: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Decimal, ...]: ...
    def __getitem__(self, index: int | slice) -> Decimal | tuple[Decimal, ...]:
        if isinstance(index, slice):
            return tuple(map(Decimal, self._texts[index]))
        return Decimal(self._texts[index])

    def __iter__(self) -> Iterator[Decimal]:
        return map(Decimal, self._texts)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Decimals | tuple):
            return tuple(self) == tuple(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(tuple(self))

    def decimal(self, units: int) -> Decimal:
        """Return so many units."""
        return shifted(units, self.places)


DecimalColumn = tuple[Decimal, ...] | Decimals
"""Either form of a column: many rows are read as whole numbers, few as decimals."""


def sum_of_products(first: Units, second: Units) -> int:
    """Return the exact sum of first x second, of units below 2^48."""
    high, low = first >> _HALF, first & _LOW
    upper, lower = second >> _HALF, second & _LOW
    middle = int(high @ lower) + int(low @ upper)
    return (int(high @ upper) << 2 * _HALF) + (middle << _HALF) + int(low @ lower)
