"""Trades of one instrument enter as they come; those in id order leave, and what is missing."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from app.market.dumps import Aggregate


@dataclass(frozen=True, slots=True)
class Arrived:
    """A trade as it was received.

    Attributes:
        aggregate: The trade.
        newest: The newest exchange time seen on the connection then, milliseconds; 0: not known.
        received: When, in seconds of the monotonic clock.
    """

    aggregate: Aggregate
    newest: int
    received: float


@dataclass(frozen=True, slots=True)
class Hole:
    """Ids that exist and have not come.

    Attributes:
        first_id: The first one.
        last_id: The last one.
        since: Since when it is known, in seconds of the monotonic clock.
        end: The trade after it, where one is held.
    """

    first_id: int
    last_id: int
    since: float
    end: Arrived | None


class Sequence:
    """Puts trades in id order, holding a bounded number of those that came too early.

    Beyond the bound a trade is dropped: its id is remembered, so it is part of a hole that is
    fetched later.

    Attributes:
        next_id: The id that comes next.
    """

    def __init__(self, next_id: int, most: int) -> None:
        self.next_id = next_id
        self._most = most
        self._held: dict[int, Arrived] = {}
        self._order: list[int] = []
        self._seen = next_id - 1
        self._dropped_since: float | None = None

    def offer(self, arrived: Arrived) -> Iterator[Arrived]:
        """Take a trade; yield those that are now in order. Repeats yield nothing."""
        identity = arrived.aggregate.id
        self._seen = max(self._seen, identity)
        if identity == self.next_id:
            self.next_id += 1
            yield arrived
            yield from self._follow()
        elif identity > self.next_id and identity not in self._held:
            self._hold(identity, arrived)

    def skip(self, hole: Hole) -> Iterator[Arrived]:
        """Give a hole up; yield the trades after it that are now in order."""
        self.next_id = hole.last_id + 1
        yield from self._follow()

    def hole(self) -> Hole | None:
        """Return the first hole; none where everything seen is in order."""
        if self._seen < self.next_id:
            return None
        first = self._held[self._order[0]] if self._order else None
        if first is None:
            return Hole(self.next_id, self._seen, self._dropped_since or 0.0, None)
        return Hole(self.next_id, first.aggregate.id - 1, first.received, first)

    def _hold(self, identity: int, arrived: Arrived) -> None:
        if len(self._held) >= self._most:
            if self._dropped_since is None:
                self._dropped_since = arrived.received
            return
        self._held[identity] = arrived
        heapq.heappush(self._order, identity)

    def _follow(self) -> Iterator[Arrived]:
        while self._order and self._order[0] <= self.next_id:
            identity = heapq.heappop(self._order)
            arrived = self._held.pop(identity)
            if identity == self.next_id:
                self.next_id += 1
                yield arrived
        if self._seen < self.next_id:
            self._dropped_since = None
