"""Times as people write them enter, milliseconds since the epoch leave, and the other way round."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION = re.compile(r"([0-9]{1,12})\s*(ms|s|m|h|d)")
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_time(text: str) -> int:
    """Return the milliseconds of an RFC 3339 time or date (UTC unless it says otherwise).

    Digits alone are milliseconds already. Raises ValueError with what would be right.
    """
    if text.isascii() and text.isdigit() and len(text) > 8:  # noqa: PLR2004 - 20191011 is a date
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:80]!r} is no time; write 2019-10-11T12:00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def format_time(milliseconds: int) -> str:
    """Return RFC 3339, UTC; thousandths only where there are any."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    precision = "milliseconds" if milliseconds % 1000 else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def parse_duration(text: str) -> int:
    """Return the milliseconds of 250ms, 30s, 1m, 2h or 1d; raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text[:80]!r} is no duration; write 250ms, 30s, 1m, 2h or 1d")
    return int(found[1]) * _UNITS[found[2]]
