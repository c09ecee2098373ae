"""Numbers enter one by one; numpy arrays of them leave, eight bytes a number."""

from __future__ import annotations

from array import array

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
"""Milliseconds since the epoch UTC, rising."""


def times(count: int = 0) -> array[int]:
    """Return a column of 64-bit whole numbers that can grow, zeros at first."""
    return array("q", bytes(8 * count))


def floats(count: int = 0) -> array[float]:
    """Return a column of floats that can grow, zeros at first."""
    return array("d", bytes(8 * count))


def frozen_times(column: array[int]) -> Times:
    """Return a copy of a column as an array that can't be written."""
    copy = np.array(column, dtype=np.int64)
    copy.setflags(write=False)
    return copy


def frozen_floats(column: array[float]) -> Floats:
    """Return a copy of a column as an array that can't be written."""
    copy = np.array(column, dtype=np.float64)
    copy.setflags(write=False)
    return copy
