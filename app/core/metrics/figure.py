"""A number enters, or why there is none; a figure that is never NaN or infinite leaves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

OUT_OF_RANGE = "the numbers are too large for it"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.

    Attributes:
        value: Money as Decimal, exact; ratios as float, always finite; counts and times
            (milliseconds) as int; none where the figure is not defined.
        reason: Why it is not defined, in a few words; empty where it is.
    """

    value: Decimal | float | None
    reason: str = ""


Figures = dict[str, Figure]
"""Figures by the key of their definition."""


def undefined(reason: str) -> Figure:
    """Return the figure that has no value."""
    return Figure(None, reason)


def ratio(compute: Callable[[], float]) -> Figure:
    """Return the computed ratio; undefined where it leaves the range of finite floats."""
    try:
        value = compute()
    except (OverflowError, ZeroDivisionError):
        return undefined(OUT_OF_RANGE)
    return Figure(value) if math.isfinite(value) else undefined(OUT_OF_RANGE)


def quotient(dividend: Decimal | float, divisor: Decimal | float, reason: str) -> Figure:
    """Return dividend / divisor as a ratio; undefined for the reason where the divisor is 0."""
    if not divisor:
        return undefined(reason)
    return ratio(lambda: float(dividend) / float(divisor))
