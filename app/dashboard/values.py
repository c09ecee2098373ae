"""Values of the tables enter; values as the API gives them leave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

import orjson

from app.core.decimals import plain
from app.storage.values import EPOCH

WIRE_NAMES = {
    "identity": "id",
    "topic_partition": "partition",
    "topic_offset": "offset",
    "age_ms": "age",
    "interval_ms": "interval",
    "limit_name": "limit",
    "given_by": "by",
    "from_time": "from",
    "to_time": "to",
}
"""The API speaks as records on the wire do; here the tables do not."""

DOCUMENTS = frozenset({"indicators", "instructions", "configuration", "input", "report"})
LATEST = datetime(9999, 12, 31, tzinfo=UTC)
_RATIO = Context(prec=60, rounding=ROUND_HALF_EVEN)
_QUANTUM = Decimal("1e-12")


def milliseconds(moment: datetime | None) -> int | None:
    """Return a moment as milliseconds since the epoch UTC; none stays none."""
    return None if moment is None else (moment - EPOCH) // timedelta(milliseconds=1)


def text(value: Decimal | None) -> str | None:
    """Return a decimal as the wire has it; none stays none."""
    return None if value is None else plain(value)


def ratio(part: Decimal, whole: Decimal) -> Decimal | None:
    """Return part / whole, rounded half-even at 1e-12; none where the whole is 0."""
    if not whole:
        return None
    return _RATIO.divide(part, whole).quantize(_QUANTUM, context=_RATIO)


def plainly(value: Any) -> Any:
    """Return a value for JSON: moments in milliseconds, decimals as text."""
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return milliseconds(value)
    return value


def row(record: Mapping[str, Any], topic: str | None = None) -> dict[str, Any]:
    """Return a row of a table as the API gives it, with the topic its record stands on."""
    found = {WIRE_NAMES.get(name, name): _field(name, value) for name, value in record.items()}
    return found if topic is None else found | {"topic": topic}


def rows(records: Iterable[Mapping[str, Any]], topic: str | None = None) -> list[dict[str, Any]]:
    """Return each row as the API gives it."""
    return [row(record, topic) for record in records]


def _field(name: str, value: Any) -> Any:
    if name in DOCUMENTS and isinstance(value, str):
        return orjson.loads(value)
    return plainly(value)
