"""The next offset of each partition enters as text; it leaves as numbers, and the other way."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping

from app.runtime.ports import Place

LONGEST = 8_000
_PART = re.compile(r"([a-z][a-z0-9\-]{0,60}):([0-9]{1,6}):([0-9]{1,18})")

Cursor = Mapping[Place, int]
"""The first offset of each partition that has not been sent yet."""


class Cursors:
    """Writes and reads cursors of one installation; those of another mean nothing here.

    Args:
        installation: What tells it from others, such as its prefix.
        places: The partitions that count.
    """

    def __init__(self, installation: str, places: Collection[Place]) -> None:
        self._mark = hashlib.sha256(installation.encode()).hexdigest()[:8]
        self._places = places

    def write(self, cursor: Cursor) -> str:
        """Return a cursor as text, which is the id of an event, too."""
        parts = [
            f"{place.topic}:{place.partition}:{offset}"
            for place, offset in cursor.items()
            if place in self._places
        ]
        return ",".join([self._mark, *parts])

    def read(self, text: str) -> dict[Place, int] | None:
        """Return what a text says of the partitions; None where it is no cursor of ours."""
        mark, *words = text.split(",") if len(text) <= LONGEST else [""]
        parts = [_PART.fullmatch(word) for word in words]
        if mark != self._mark or None in parts:
            return None
        said = {Place(part[1], int(part[2])): int(part[3]) for part in parts if part is not None}
        return {place: offset for place, offset in said.items() if place in self._places}
