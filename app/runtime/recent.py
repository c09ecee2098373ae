"""Records as they were read enter with what was made of them, which leaves for who reads them next.

Several stages of one process read the same topics at about the same time, each by itself. What one
of them decoded the others need not decode again: a message can't be changed.
"""

from __future__ import annotations

from collections import OrderedDict

from app.core.events import Message
from app.runtime.ports import Stored

MOST_BYTES = 2 * 1024 * 1024
"""Of records as they were read; decoded, one of few trades takes up to four times as much."""

Key = tuple[str, int, int]


class Recent:
    """The newest records that were decoded, by where they stand.

    Args:
        most: How many bytes of records it holds.
    """

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._held = 0
        self._found: OrderedDict[Key, tuple[Stored, Message]] = OrderedDict()

    def get(self, stored: Stored) -> Message | None:
        """Return what was made of the same bytes under the same key in the same place."""
        found = self._found.get((stored.topic, stored.partition, stored.offset))
        # Another run's topic may have had another record there.
        return found[1] if found is not None and found[0] == stored else None

    def put(self, stored: Stored, message: Message) -> None:
        """Hold what was made of a record; let the oldest go where it is too much."""
        place = stored.topic, stored.partition, stored.offset
        self._drop(self._found.pop(place, None))
        self._found[place] = stored, message
        self._held += len(stored.value or b"")
        while self._held > self._most:
            self._drop(self._found.popitem(last=False)[1])

    def _drop(self, found: tuple[Stored, Message] | None) -> None:
        if found is not None:
            self._held -= len(found[0].value or b"")
