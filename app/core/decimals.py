"""Exact decimal arithmetic: decimals enter, decimals and their plain text leave."""

from __future__ import annotations

from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)

ZERO = Decimal(0)

# The thread's own context is not ours to trust: it may round where we promised exactness.
# 76 digits hold a product of two numbers of 38 digits, more than the codec lets in.
EXACT = Context(
    prec=76,
    rounding=ROUND_HALF_EVEN,
    traps=[InvalidOperation, DivisionByZero, Overflow, Inexact],
)
ROUNDED = Context(
    prec=76, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow]
)


def plain(value: Decimal) -> str:
    """Return the one text of a number: fixed notation, no exponent, no trailing zeros."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def add(first: Decimal, second: Decimal) -> Decimal:
    """Return the exact sum; raises decimal.Inexact where it would need rounding."""
    return EXACT.add(first, second)


def subtract(first: Decimal, second: Decimal) -> Decimal:
    """Return the exact difference; raises decimal.Inexact where it would need rounding."""
    return EXACT.subtract(first, second)


def multiply(first: Decimal, second: Decimal) -> Decimal:
    """Return the exact product; raises decimal.Inexact where it would need rounding."""
    return EXACT.multiply(first, second)


def total(values: list[Decimal] | tuple[Decimal, ...]) -> Decimal:
    """Return the exact sum of many numbers; zero for none."""
    result = ZERO
    for value in values:
        result = EXACT.add(result, value)
    return result


def divide(dividend: Decimal, divisor: Decimal, quantum: Decimal) -> Decimal:
    """Return the quotient rounded half-even to a multiple of `quantum`, a power of ten."""
    return ROUNDED.quantize(ROUNDED.divide(dividend, divisor), quantum)


def shifted(units: int, places: int) -> Decimal:
    """Return units of 10^-places, exactly; raises decimal.Inexact beyond 76 digits."""
    return EXACT.scaleb(Decimal(units), -places)


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the multiple of `step` next to `value` toward zero; `value` itself for step 0."""
    if not step:
        return value
    steps = ROUNDED.divide(value, step).to_integral_value(rounding=ROUND_DOWN)
    return EXACT.multiply(steps, step)


def ceiling_to(value: Decimal, step: Decimal) -> Decimal:
    """Return the smallest multiple of `step` not below `value`; `value` itself for step 0."""
    if not step:
        return value
    steps = ROUNDED.divide(value, step).to_integral_value(rounding=ROUND_CEILING)
    return EXACT.multiply(steps, step)
