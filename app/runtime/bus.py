"""Messages of this process enter; every subscriber gets those of the types it asked for, in order.

Publishing never waits: a slow subscriber loses its oldest messages or its subscription, as it
chose, and both are counted. The bus is for whatever watches the flow live; nothing that decides
may depend on it, for it remembers nothing and other processes' messages don't pass here.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self

from app.core.events import RECORDS, Message, Record


class Slow(StrEnum):
    """What happens when a message finds a subscriber's queue full."""

    DROP_OLDEST = "drop_oldest"
    DISCONNECT = "disconnect"


class DisconnectedError(RuntimeError):
    """A subscriber that chose `Slow.DISCONNECT` fell behind, and has now taken what was queued."""


@dataclass(frozen=True, slots=True)
class SubscriptionStatistics:
    """What became of one subscriber's messages: received = taken + dropped + waiting.

    Attributes:
        name: Whose subscription.
        received: Messages routed to it.
        taken: Messages it has taken.
        dropped: Messages it lost by being slow.
        waiting: Messages in its queue.
        most_waiting: The most there ever were.
        disconnected: Whether it was cut off for being slow.
    """

    name: str
    received: int
    taken: int
    dropped: int
    waiting: int
    most_waiting: int
    disconnected: bool


@dataclass(frozen=True, slots=True)
class BusStatistics:
    """What passed over the bus.

    Attributes:
        published: Messages by the tag of their record.
        disconnected: Subscribers cut off so far, those gone since among them.
        subscriptions: Those that are there, in the order they came.
    """

    published: dict[str, int] = field(default_factory=dict)
    disconnected: int = 0
    subscriptions: tuple[SubscriptionStatistics, ...] = ()


class Subscription:
    """One subscriber's queue: an asynchronous iterator, and a context manager that ends it."""

    def __init__(self, bus: EventBus, name: str, capacity: int, slow: Slow) -> None:
        self._bus = bus
        self._name = name
        self._capacity = capacity
        self._slow = slow
        self._queue: deque[Message] = deque()
        self._changed = asyncio.Event()
        self._open = True
        self._disconnected = False
        self._received = self._taken = self._dropped = self._most_waiting = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        while not self._queue:
            if self._disconnected:
                raise DisconnectedError(
                    f"subscriber {self._name} fell {self._capacity} messages behind and was cut "
                    f"off: subscribe again, with a larger capacity or to fewer types."
                )
            if not self._open:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        self._taken += 1
        return self._queue.popleft()

    def close(self) -> None:
        """End the subscription; what is queued can still be taken."""
        self._open = False
        self._bus.remove(self)
        self._changed.set()

    def statistics(self) -> SubscriptionStatistics:
        """Return what became of its messages so far."""
        return SubscriptionStatistics(
            self._name,
            self._received,
            self._taken,
            self._dropped,
            len(self._queue),
            self._most_waiting,
            self._disconnected,
        )

    def put(self, message: Message) -> bool:
        """Queue a message; return False if the subscriber has just been cut off instead."""
        self._received += 1
        if len(self._queue) >= self._capacity:
            self._dropped += 1
            if self._slow is Slow.DISCONNECT:
                self._disconnected = True
                self.close()
                return False
            self._queue.popleft()
        self._queue.append(message)
        self._most_waiting = max(self._most_waiting, len(self._queue))
        self._changed.set()
        return True


class EventBus:
    """Routes messages by the type of their record, within one event loop."""

    def __init__(self) -> None:
        self._routes: dict[type[Record], list[Subscription]] = {}
        self._subscriptions: list[Subscription] = []
        self._published: Counter[str] = Counter()
        self._disconnected = 0

    def subscribe(
        self,
        name: str,
        *types: type[Record],
        capacity: int = 1_000,
        slow: Slow = Slow.DROP_OLDEST,
    ) -> Subscription:
        """Begin to queue messages whose record is of one of the types (of any, if none is given).

        Args:
            name: Who subscribes, for the statistics.
            types: Types of record.
            capacity: The most messages that wait, at least 1.
            slow: What happens when one more comes.
        """
        if capacity < 1:
            raise ValueError(f"the capacity of {name} was {capacity}, must be at least 1")
        subscription = Subscription(self, name, capacity, slow)
        for cls in dict.fromkeys(types or RECORDS.values()):
            self._routes.setdefault(cls, []).append(subscription)
        self._subscriptions.append(subscription)
        return subscription

    def publish(self, message: Message) -> int:
        """Give a message to its subscribers; return how many will get it. Never waits."""
        self._published[message.record.TYPE] += 1
        # A copy: who is cut off on the way leaves the list.
        queued = [each.put(message) for each in tuple(self._routes.get(type(message.record), ()))]
        self._disconnected += queued.count(False)
        return queued.count(True)

    def remove(self, subscription: Subscription) -> None:
        """Give a subscription no more messages; one that is gone already is no error."""
        for route in (self._subscriptions, *self._routes.values()):
            if subscription in route:
                route.remove(subscription)

    def close(self) -> None:
        """End every subscription; subscribers take what is queued, then their iteration ends."""
        for subscription in tuple(self._subscriptions):
            subscription.close()

    def statistics(self) -> BusStatistics:
        """Return what passed so far."""
        return BusStatistics(
            dict(self._published),
            self._disconnected,
            tuple(subscription.statistics() for subscription in self._subscriptions),
        )
