"""One stage's inputs and outputs enter as far as they have grown; what differs leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.core.flow import Stage
from app.replay.recorded import event_time, inputs
from app.replay.sources.topics import Recording
from app.replay.verify.lines import Lines, Tally
from app.replay.verify.starting import Starts, starts
from app.replay.verify.stepping import Stepper
from app.replay.verify.suspects import Suspects
from app.runtime.ports import Place

Bounds = dict[Place, tuple[int, int]]


class Comparison:
    """One stage, stepped and compared as far as its topics go; call `advance` again for more.

    Args:
        recording: The run.
        stage: The stage.
        strays: Topics on which this stage answers for records of other stages than these.
        tallies: What stands, by topic.
        suspects: What differs is added there.
        following: Whether `advance` is called again.

    Attributes:
        stage: The stage.
        starts: Where it is stepped from.
        firsts: The first offset of each input partition at the beginning.
        through: The event time of the newest record compared, milliseconds since the epoch UTC.
    """

    def __init__(
        self,
        recording: Recording,
        stage: Stage,
        *,
        strays: Mapping[str, frozenset[str]],
        tallies: Mapping[str, Tally],
        suspects: Suspects,
        following: bool,
    ) -> None:
        self.stage = stage
        self.starts = Starts()
        self.firsts: dict[Place, int] = {}
        self.through = 0
        self._recording = recording
        self.lines = Lines(
            stage.name, strays=strays, tallies=tallies, suspects=suspects, following=following
        )
        self.stepper = Stepper(stage, self.starts, self.firsts, lambda _: 0)
        self._counts: dict[str, int] = {}
        self._positions: dict[Place, int] = {}

    async def begin(self, time: int | None) -> None:
        """Find where every key is stepped from: see `starts`."""
        stage, recording = self.stage, self._recording
        for topic in (*stage.inputs, *stage.outputs):
            self._counts[topic] = await recording.partitions(topic)
        bounds = await self._bounds(stage.inputs)
        self.starts = await starts(recording, stage, bounds, time)
        self.firsts = {place: first for place, (first, _) in bounds.items()}
        self._positions = {place: first for place, (first, _) in self.starts.bounds.items()}
        count = self._counts[stage.inputs[0]]
        self.stepper = Stepper(
            stage,
            self.starts,
            self.firsts,
            lambda key: recording.partition_for(key.encode(), count),
        )
        self.lines.sent = self.starts.sent()

    async def advance(self, tell: Callable[[], None]) -> None:
        """Step over what the inputs hold by now, and compare; `tell` is told of each record."""
        # The ends of what it wrote before those of what it read: nothing stands without its cause.
        for place, bounds in (await self._bounds(self.stage.outputs)).items():
            self.lines.extend(self._recording, place, bounds)
        ends = {place: end for place, (_, end) in (await self._bounds(self.stage.inputs)).items()}
        span = {place: (self._positions[place], end) for place, end in ends.items()}
        async for key, inbound in inputs(self._recording, self.stage, span, self.starts.states):
            tell()
            for output in self.stepper.take(key, inbound):
                count = self._counts[output.topic]
                home = self._recording.partition_for(output.key.encode(), count)
                if await self.lines.take(output, home):
                    self.through = max(self.through, event_time(output.message))
        self._positions = ends
        await self.lines.finish(self.stepper.is_unproven)

    async def _bounds(self, topics: tuple[str, ...]) -> Bounds:
        places = [Place(topic, number) for topic in topics for number in range(self._counts[topic])]
        return {place: await self._recording.bounds(place) for place in places}
