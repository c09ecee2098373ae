"""A run's topics enter; what stands there leaves piece by piece, in event-time order."""

from __future__ import annotations

import heapq
from collections.abc import AsyncGenerator, Iterator, Mapping

from app.core.events import Inbound, Message
from app.core.flow import Stage
from app.replay.cut import KeyState
from app.replay.sources.topics import Recording
from app.runtime.admission import OwnRecordError, admit
from app.runtime.ports import Place, Stored

_Item = tuple[int, str, Inbound]


def event_time(message: Message) -> int:
    """Return a record's own time, milliseconds since the epoch UTC; 0 where it has none."""
    time = getattr(message.record, "time", 0)
    return int(time if isinstance(time, int) else time[-1])


async def inputs(
    recording: Recording,
    stage: Stage,
    bounds: Mapping[Place, tuple[int, int]],
    states: Mapping[str, KeyState],
) -> AsyncGenerator[tuple[str, Inbound], None]:
    """Yield a stage's inputs with their keys, in event-time order.

    Each topic keeps its own order, commands among the signals theirs; between topics the order
    makes no difference to any output, so the one that needs the least memory is taken.

    Args:
        recording: The run.
        stage: The stage.
        bounds: Of each input partition, where to read from and to.
        states: What is stepped from a snapshot: what its state is past is left out.
    """
    floors = {key.encode(): state.needs for key, state in states.items()}
    lanes = [_Lane(recording, stage, place, bounds[place], floors) for place in bounds]
    # Fields: time, the lane's rank, which decides at one time.
    heap = [(lane.item[0], rank) for rank, lane in enumerate(lanes) if await lane.advance()]
    heapq.heapify(heap)
    while heap:
        _, rank = heap[0]
        lane = lanes[rank]
        _, key, inbound = lane.item
        yield key, inbound
        if await lane.advance():
            heapq.heapreplace(heap, (lane.item[0], rank))
        else:
            heapq.heappop(heap)


class _Lane:
    """One input partition; `item` is what comes next."""

    item: _Item

    def __init__(
        self,
        recording: Recording,
        stage: Stage,
        place: Place,
        bounds: tuple[int, int],
        floors: Mapping[bytes, Mapping[str, int]],
    ) -> None:
        self._stage = stage
        self._floors = floors
        self._time = 0
        self._chunks = aiter(recording.chunks(place, *bounds))
        self._items: Iterator[_Item] = iter(())

    async def advance(self) -> bool:
        """Go to the next record; return whether there is one."""
        while True:
            item = next(self._items, None)
            if item is not None:
                self.item = item
                return True
            chunk = await anext(self._chunks, None)
            if chunk is None:
                return False
            self._items = self._admitted(chunk)

    def _admitted(self, chunk: list[Stored]) -> Iterator[_Item]:
        for stored in chunk:
            key = stored.key or b""
            if stored.offset < self._floors.get(key, {}).get(stored.topic, 0):
                continue
            try:
                admitted = admit(stored, self._stage)
            except OwnRecordError:
                continue  # what was there instead is missing at its stage's turn, which names it
            if isinstance(admitted, Message):
                self._time = max(self._time, event_time(admitted))
                inbound = Inbound(admitted, stored.topic, stored.partition, stored.offset)
                yield self._time, key.decode(), inbound
