"""Every subscriber gets its types in order; a slow one harms nobody and is counted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.events import Clock, Identity, Leave, Message, Resumed
from app.runtime.bus import DisconnectedError, EventBus, Slow, Subscription

KINDS: list[Any] = [Clock, Leave, Resumed]


def message(kind: type, number: int) -> Message:
    if kind is Clock:
        return Message(Clock("X:Y", number, 0, 0))
    if kind is Leave:
        return Message(Leave("X:Y", "paper", 1, number, "removed"))
    return Message(Resumed("paper", number, 1, ""), Identity("risk", "a", "a", number + 1), "o")


async def take(subscription: Subscription, count: int) -> list[Message]:
    return [await anext(subscription) for _ in range(count)]


async def rest(subscription: Subscription) -> list[Message]:
    return [taken async for taken in subscription]


async def test_a_subscriber_gets_its_types_and_no_others_in_order() -> None:
    bus = EventBus()
    with bus.subscribe("some", Clock, Resumed) as some, bus.subscribe("all") as everything:
        sent = [message(KINDS[number % 3], number) for number in range(9)]
        reached = [bus.publish(each) for each in sent]
        bus.close()
        assert await rest(some) == [each for each in sent if not isinstance(each.record, Leave)]
        assert await rest(everything) == sent
        assert reached == [2, 1, 2] * 3


async def test_a_waiting_subscriber_is_woken() -> None:
    bus = EventBus()
    with bus.subscribe("one", Clock) as one:
        waiting = asyncio.ensure_future(anext(one))
        await asyncio.sleep(0)
        assert not waiting.done()
        bus.publish(message(Clock, 1))
        assert await waiting == message(Clock, 1)


async def test_closing_wakes_a_waiting_subscriber_and_forgets_it() -> None:
    bus = EventBus()
    one = bus.subscribe("one", Clock)
    waiting = asyncio.ensure_future(rest(one))
    await asyncio.sleep(0)
    one.close()
    one.close()
    assert await waiting == []
    assert bus.publish(message(Clock, 1)) == 0
    assert bus.statistics().subscriptions == ()


async def test_a_cancelled_subscriber_loses_nothing() -> None:
    bus = EventBus()
    with bus.subscribe("one", Clock) as one:
        waiting = asyncio.ensure_future(anext(one))
        await asyncio.sleep(0)
        waiting.cancel()
        bus.publish(message(Clock, 1))
        await asyncio.gather(waiting, return_exceptions=True)
        assert await take(one, 1) == [message(Clock, 1)]


async def test_a_slow_subscriber_that_chose_so_is_cut_off_after_what_was_queued() -> None:
    bus = EventBus()
    slow = bus.subscribe("slow", capacity=2, slow=Slow.DISCONNECT)
    quick = bus.subscribe("quick", capacity=9)
    sent = [message(Clock, number) for number in range(4)]
    assert [bus.publish(each) for each in sent] == [2, 2, 1, 1]
    assert await take(slow, 2) == sent[:2]
    with pytest.raises(DisconnectedError, match="slow fell 2 messages behind"):
        await anext(slow)
    assert await take(quick, 4) == sent
    statistics = bus.statistics()
    assert statistics.disconnected == 1
    assert [each.name for each in statistics.subscriptions] == ["quick"]
    assert slow.statistics().disconnected
    assert slow.statistics().dropped == 1


def test_a_queue_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        EventBus().subscribe("none", capacity=0)


@given(
    st.lists(st.sampled_from(KINDS) | st.integers(1, 3), max_size=40),
    st.lists(st.sampled_from(KINDS), unique=True, min_size=1),
    st.integers(1, 5),
)
def test_what_is_taken_is_what_a_bounded_queue_would_hold(
    steps: list[Any], types: list[Any], capacity: int
) -> None:
    async def check() -> None:
        bus = EventBus()
        subscription = bus.subscribe("one", *types, capacity=capacity)
        queue: list[Message] = []
        received = taken = dropped = most = 0
        for number, step in enumerate(steps):
            if isinstance(step, int):
                count = min(step, len(queue))
                assert await take(subscription, count) == queue[:count]
                queue, taken = queue[count:], taken + count
                continue
            bus.publish(message(step, number))
            if step in types:
                dropped += len(queue) == capacity
                queue = [*queue, message(step, number)][-capacity:]
                received += 1
                most = max(most, len(queue))
        found = subscription.statistics()
        assert (found.received, found.taken, found.dropped) == (received, taken, dropped)
        assert (found.waiting, found.most_waiting) == (len(queue), most)
        assert found.received == found.taken + found.dropped + found.waiting
        published = sum(not isinstance(step, int) for step in steps)
        assert sum(bus.statistics().published.values()) == published
        bus.close()
        assert await rest(subscription) == queue

    asyncio.run(check())


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 30))
def test_subscribers_do_not_disturb_each_other(capacities: list[int], count: int) -> None:
    async def check() -> None:
        bus = EventBus()
        slow = [
            bus.subscribe(f"slow {number}", capacity=capacity, slow=list(Slow)[number % 2])
            for number, capacity in enumerate(capacities)
        ]
        quick = bus.subscribe("quick", capacity=1)
        for number in range(count):
            bus.publish(message(Clock, number))
            assert await take(quick, 1) == [message(Clock, number)]
        for each in slow:
            found = each.statistics()
            assert found.received == found.dropped + found.waiting
            assert found.disconnected == (found.dropped > 0 and each in slow[1::2])

    asyncio.run(check())
