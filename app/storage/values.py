"""Values of records enter, values as COPY and the tables want them leave."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from app.core.decimals import plain
from app.core.events import Inbound

Row = tuple[object, ...]
Rows = list[tuple[str, Row]]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(milliseconds: int) -> datetime:
    """Return the moment, exactly: a sum of whole milliseconds, never a float."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def document(value: Any) -> str:
    """Return a dataclass, list or dictionary as JSON text; decimals are strings."""
    return orjson.dumps(value, default=_plain).decode()


def named(inbound: Inbound) -> Row:
    """Return the last columns of what entered from outside: its name and its place."""
    return (inbound.message.name, inbound.partition, inbound.offset)


def derived(inbound: Inbound) -> Row:
    """Return the last columns of a derived record: identity, origin and place."""
    message = inbound.message
    return (message.name, message.origin, inbound.partition, inbound.offset)


def _plain(value: Any) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    raise TypeError(f"a {type(value).__name__} has no JSON")
