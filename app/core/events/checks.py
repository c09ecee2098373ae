"""Range checks for the fields of records: a value enters, or a sentence of refusal leaves."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from app.core.columns import Decimals
from app.core.decimals import EXACT

LATEST_TIME = 7_258_118_400_000  # 2200-01-01T00:00:00Z in milliseconds
LARGEST_ID = 2**63 - 1
LARGEST_PRICE = Decimal(10) ** 15
LARGEST_AMOUNT = Decimal(10) ** 36
LARGEST_SIZE = Decimal(10) ** 18
LONGEST_INTERVAL = 86_400_000
# What enters from outside has few enough places that every product and sum stays exact in the 76
# digits of app.core.decimals; without this one foreign trade could stop every worker for good.
ENTERING_PLACES = 12
CONFIGURED_PLACES = 8
LONGEST_TEXT = 10_000
_ENTERING_QUANTUM = Decimal(1).scaleb(-ENTERING_PLACES)
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.\-]{0,99}")


class InvalidRecordError(ValueError):
    """A field held a value that no record may hold; the sentence names field and value."""


def refuse(name: str, value: object, must: str) -> InvalidRecordError:
    """Return the refusal of a value, cut to a readable length."""
    return InvalidRecordError(f"{name} was {str(value)[:80]!r}, must be {must}")


def time(name: str, value: int) -> None:
    """Check milliseconds since the epoch, UTC."""
    if not 0 <= value <= LATEST_TIME:
        raise refuse(name, value, "milliseconds between 1970 and 2200")


def ordinal(name: str, value: int) -> None:
    """Check a number that counts from 1."""
    if not 1 <= value <= LARGEST_ID:
        raise refuse(name, value, "a whole number from 1 to 2^63 - 1")


def count(name: str, value: int) -> None:
    """Check a non-negative 64-bit whole number: an id, a count, a duration."""
    if not 0 <= value <= LARGEST_ID:
        raise refuse(name, value, "a whole number from 0 to 2^63 - 1")


def price(name: str, value: Decimal | None) -> None:
    """Check a price: above zero, at most 10^15; none where no price is known."""
    if value is not None and not (value.is_finite() and 0 < value <= LARGEST_PRICE):
        raise refuse(name, value, "a price above 0 and at most 10^15")


def quantity(name: str, value: Decimal) -> None:
    """Check an amount that can't be negative."""
    if not (value.is_finite() and 0 <= value <= LARGEST_AMOUNT):
        raise refuse(name, value, "a number from 0 to 10^36")


def amount(name: str, value: Decimal) -> None:
    """Check a signed amount of money or of an asset."""
    if not (value.is_finite() and -LARGEST_AMOUNT <= value <= LARGEST_AMOUNT):
        raise refuse(name, value, "a finite number up to 10^36 either way")


def share(name: str, value: Decimal) -> None:
    """Check a fraction of a whole."""
    if not (value.is_finite() and 0 <= value <= 1):
        raise refuse(name, value, "a share from 0 to 1")


def interval(name: str, value: int) -> None:
    """Check the length of an interval: 1 ms to a day."""
    if not 1 <= value <= LONGEST_INTERVAL:
        raise refuse(name, value, "milliseconds from 1 to 86400000, a day")


def places(name: str, value: Decimal, most: int = ENTERING_PLACES) -> None:
    """Check that a finite number needs no more places after the point than `most`."""
    if EXACT.remainder(value, Decimal(1).scaleb(-most)):
        raise refuse(name, value, f"a number of at most {most} decimal places")


def prices(name: str, column: Sequence[Decimal]) -> None:
    """Check prices that enter from outside."""
    if isinstance(column, Decimals):
        price(name, column.decimal(int(column.units.min())))
        return  # its most, and its places, are below what is allowed
    _finite(name, column)
    price(name, min(column))
    price(name, max(column))
    _column_places(name, column)


def sizes(name: str, column: Sequence[Decimal]) -> None:
    """Check quantities that enter from outside: 0 to 10^18."""
    if isinstance(column, Decimals):
        return  # it holds nothing else
    _finite(name, column)
    for value in (min(column), max(column)):
        if not 0 <= value <= LARGEST_SIZE:
            raise refuse(name, value, "a quantity from 0 to 10^18")
    _column_places(name, column)


def _finite(name: str, column: Sequence[Decimal]) -> None:
    # First of all: to compare NaN is an error of its own.
    if not all(map(Decimal.is_finite, column)):
        raise refuse(name, column, "finite numbers")


def _column_places(name: str, column: Sequence[Decimal]) -> None:
    if any(EXACT.remainder(value, _ENTERING_QUANTUM) for value in column):
        raise refuse(name, column, f"numbers of at most {ENTERING_PLACES} decimal places")


def key(name: str, value: str) -> None:
    """Check the name of an instrument, account, strategy, stage or topic."""
    if not KEY.fullmatch(value):
        raise refuse(name, value, "1 to 100 letters, digits or : _ . -")


def text(name: str, value: str) -> None:
    """Check free text: a reason, a message."""
    if len(value) > LONGEST_TEXT:
        raise refuse(name, value, f"a text of at most {LONGEST_TEXT} characters")


def offsets(name: str, by_topic: Mapping[str, int]) -> None:
    """Check offsets by topic."""
    for topic, offset in by_topic.items():
        key(name, topic)
        count(name, offset)


def real(name: str, value: float) -> None:
    """Check an indicator or statistic: a finite float."""
    if not math.isfinite(value):
        raise refuse(name, value, "a finite number")


def same_length(name: str, columns: Sequence[Sequence[object]]) -> None:
    """Check that columns describe the same rows, at least one and at most 10,000."""
    lengths = [len(column) for column in columns]
    if min(lengths) != max(lengths) or not 1 <= lengths[0] <= LONGEST_TEXT:
        raise refuse(name, lengths, "columns of one length from 1 to 10000")
