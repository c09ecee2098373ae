"""Values of a JSON document enter; values of the type and range asked for leave, or an error."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import TypeVar

import orjson

from app.core.events.checks import KEY, LARGEST_ID, LATEST_TIME

Fields = dict[str, object]
Parsed = TypeVar("Parsed")

# At most as many places as a record may hold (checks.ENTERING_PLACES), and zeros.
_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,12}0{0,8})?", re.ASCII)
_SHOWN = 200


class ProtocolError(ValueError):
    """Bytes were not what the exchange documents.

    Attributes:
        payload: The bytes, whole.
    """

    def __init__(self, reason: str, payload: bytes) -> None:
        super().__init__(
            f"the exchange sent {payload[:_SHOWN]!r}, which can't be read: {reason}; if it "
            "persists, check that the address is that of a Binance spot service"
        )
        self.payload = payload


class MalformedError(Exception):
    """A field was missing or out of range."""


def parse(payload: bytes, read: Callable[[object], Parsed]) -> Parsed:
    """Return what `read` makes of a JSON document; raises ProtocolError."""
    try:
        return read(orjson.loads(payload))
    except (orjson.JSONDecodeError, MalformedError) as error:
        raise ProtocolError(str(error), payload) from error


def ascending(values: list[int]) -> None:
    """Check that values rise."""
    if any(after <= before for before, after in pairwise(values)):
        raise MalformedError("the rows were not in ascending order")


def record(value: object) -> Fields:
    """Return a JSON object."""
    if type(value) is not dict:
        raise MalformedError(f"{str(value)[:40]!r} was not an object")
    return value


def rows(value: object) -> list[object]:
    """Return a JSON array."""
    if type(value) is not list:
        raise MalformedError(f"{str(value)[:40]!r} was not an array")
    return value


def integer(fields: Fields, name: str, low: int = 0, high: int = LARGEST_ID) -> int:
    """Return a whole number between two bounds, inclusive."""
    value = fields.get(name)
    if type(value) is not int or not low <= value <= high:
        raise MalformedError(
            f"{name} was {str(value)[:40]!r}, must be a whole number from {low} to {high}"
        )
    return value


def time(fields: Fields, name: str) -> int:
    """Return milliseconds since the epoch, UTC."""
    return integer(fields, name, high=LATEST_TIME)


def decimal(fields: Fields, name: str) -> Decimal:
    """Return a number that is written as text, zero or above."""
    value = fields.get(name)
    if type(value) is not str or not _NUMBER.fullmatch(value):
        raise MalformedError(f"{name} was {str(value)[:40]!r}, must be a decimal number as text")
    return Decimal(value)


def boolean(fields: Fields, name: str) -> bool:
    """Return true or false."""
    value = fields.get(name)
    if type(value) is not bool:
        raise MalformedError(f"{name} was {str(value)[:40]!r}, must be true or false")
    return value


def text(fields: Fields, name: str) -> str:
    """Return a text that is not empty."""
    value = fields.get(name)
    if type(value) is not str or not value:
        raise MalformedError(f"{name} was {str(value)[:40]!r}, must be a text")
    return value


def key(fields: Fields, name: str) -> str:
    """Return a name that records may hold."""
    value = text(fields, name)
    if not KEY.fullmatch(value):
        raise MalformedError(f"{name} was {value[:40]!r}, must be a plain name")
    return value
