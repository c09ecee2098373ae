"""The last row of a page enters, and the text that asks for the next page; each becomes the other.

A page is asked for by the key of the row it comes after, never by a count: rows that come meanwhile
shift nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from app.core.events.checks import LARGEST_ID, LATEST_TIME
from app.dashboard.errors import BAD_NAME, AnswerError
from app.dashboard.values import milliseconds
from app.storage.values import instant

LONGEST = 2_000
Kind = type[datetime] | type[int] | type[str]
"""What a column of a key holds."""


def write(row: Mapping[str, Any], key: Mapping[str, Kind]) -> str:
    """Return the text that asks for what comes after a row."""
    values = [row[name] for name in key]
    plain = [milliseconds(value) if isinstance(value, datetime) else value for value in values]
    return base64.urlsafe_b64encode(orjson.dumps(plain)).decode().rstrip("=")


def read(text: str | None, key: Mapping[str, Kind]) -> list[datetime | int | str | None]:
    """Return the values that such a text holds, nones for no text; raises AnswerError."""
    if text is None:
        return [None] * len(key)
    try:
        padded = text[:LONGEST] + "=" * (-len(text) % 4)
        values = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(values, list):
            raise _refused(text)
        return [_value(value, kind) for value, kind in zip(values, key.values(), strict=True)]
    except (ValueError, binascii.Error) as error:
        raise _refused(text) from error


def page(
    records: Sequence[Mapping[str, Any]], limit: int, key: Mapping[str, Kind]
) -> tuple[Sequence[Mapping[str, Any]], str | None]:
    """Return at most `limit` of the rows, and the text for the next page where one is there."""
    shown = records[:limit]
    return shown, write(shown[-1], key) if len(records) > limit else None


def _value(value: object, kind: Kind) -> datetime | int | str:
    if kind is str and isinstance(value, str) and "\x00" not in value:
        return value
    if kind is int and type(value) is int and abs(value) <= LARGEST_ID:
        return value
    if kind is datetime and type(value) is int and 0 <= value <= LATEST_TIME:
        return instant(value)
    raise ValueError(value)


def _refused(text: str) -> AnswerError:
    return AnswerError(BAD_NAME, f"before was {text[:80]!r}, must be the `next` of an answer.")
