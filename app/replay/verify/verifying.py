"""A log enters; proof that its derived records follow from its inputs leaves, or what differs.

Every stage is stepped again over the inputs that the topics hold, and what it makes is compared
with what they hold, byte for byte. Since each stage's inputs are another's compared outputs or
entered from outside, all stages equal means the whole run equal. Topics are read piece by piece,
so that memory is that of one stage's machines and of what stands in another order than it is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.core.flow import Stage
from app.replay.recorded import inputs
from app.replay.sources.topics import Recording
from app.replay.verify.lines import Lines, Tail, Tally
from app.replay.verify.starting import Starts, starts
from app.replay.verify.stepping import Stepper
from app.replay.verify.suspects import Search, Suspects
from app.replay.verify.verdict import Verdict
from app.runtime.ports import Place

OFTEN = 1_000
"""Records after which it is told again how far it has come."""

Tell = Callable[[int, str], None]
"""Is told how many input records were taken, and of which stage."""


async def volume(recording: Recording, stages: Sequence[Stage]) -> int:
    """Return about how many input records a verification takes."""
    total = 0
    for stage in stages:
        for topic in stage.inputs:
            bounds = await _bounds(recording, topic)
            total += sum(end - first for first, end in bounds.values())
    return total


async def verify(
    recording: Recording,
    stages: Sequence[Stage],
    time: int | None = None,
    tell: Tell | None = None,
) -> Verdict:
    """Compare every derived record on the log with what its inputs make.

    Args:
        recording: The run.
        stages: The pipeline.
        time: Each key is stepped from its newest snapshot up to then, milliseconds since the epoch
            UTC; none: from its beginning, or the oldest snapshot where that is gone.
        tell: Is told how far it has come.
    """
    run = _Run(recording, stages, time, tell)
    for stage in stages:
        await run.compare(stage)
    return await run.verdict()


class _Run:
    """One verification, stage by stage."""

    def __init__(
        self,
        recording: Recording,
        stages: Sequence[Stage],
        time: int | None,
        tell: Tell | None,
    ) -> None:
        self._recording = recording
        self._stages = stages
        self._time = time
        self._tell = tell
        self._taken = 0
        self._suspects = Suspects()
        self._found = Verdict()
        self._writers: dict[str, list[str]] = {}
        for stage in stages:
            for topic in stage.outputs:
                self._writers.setdefault(topic, []).append(stage.name)
        self._tallies = {topic: Tally() for topic in self._writers}

    async def compare(self, stage: Stage) -> None:
        """Step one stage and compare what it makes."""
        # The ends of what it wrote before those of what it read: nothing stands without its cause.
        tails = {topic: await self._tails(topic) for topic in stage.outputs}
        bounds = {
            place: each
            for topic in stage.inputs
            for place, each in (await _bounds(self._recording, topic)).items()
        }
        begin = await starts(self._recording, stage, bounds, self._time)
        lines = Lines(
            stage.name,
            strays=self._strays(stage),
            tails=tails,
            sent=begin.sent(),
            tallies=self._tallies,
            suspects=self._suspects,
        )
        firsts = {place: first for place, (first, _) in bounds.items()}
        count = await self._recording.partitions(stage.inputs[0])
        stepper = Stepper(
            stage, begin, firsts, lambda key: self._recording.partition_for(key.encode(), count)
        )
        await self._step(stage, begin, stepper, lines)
        await lines.finish(stepper.is_unproven)
        self._note(begin, lines, stepper)
        self._found.truncated |= {
            f"{place.topic}/{place.partition}": first for place, first in firsts.items() if first
        }

    async def verdict(self) -> Verdict:
        """Return the outcome; what differs is looked up."""
        self._found.counts = {topic: tally.count for topic, tally in self._tallies.items()}
        self._found.digests = {
            topic: f"{tally.total:032x}" for topic, tally in self._tallies.items()
        }
        search = Search(self._recording, self._stages)
        self._found.differences = await search.differences(self._suspects)
        self._found.different = self._suspects.count
        return self._found

    async def _step(self, stage: Stage, begin: Starts, stepper: Stepper, lines: Lines) -> None:
        counts = {topic: await self._recording.partitions(topic) for topic in stage.outputs}
        async for key, inbound in inputs(self._recording, stage, begin.bounds, begin.states):
            self._taken += 1
            if self._tell is not None and self._taken % OFTEN == 0:
                self._tell(self._taken, stage.name)
            for output in stepper.take(key, inbound):
                count = counts[output.topic]
                number = self._recording.partition_for(output.key.encode(), count)
                await lines.take(output, number)

    def _note(self, begin: Starts, lines: Lines, stepper: Stepper) -> None:
        found = self._found
        found.repeats += lines.repeats
        found.pending += lines.pending
        found.gone += lines.gone
        found.unproven |= stepper.unproven
        times = [state.time for state in begin.states.values()]
        if times:
            found.since = max(*times, found.since or 0)

    def _strays(self, stage: Stage) -> dict[str, frozenset[str]]:
        """Return the topics on which this stage answers for records of no stage, with the stages.

        Of the stages that write a topic, the first does.
        """
        return {
            topic: frozenset(names)
            for topic, names in self._writers.items()
            if names[0] == stage.name
        }

    async def _tails(self, topic: str) -> list[Tail]:
        bounds = await _bounds(self._recording, topic)
        return [Tail(self._recording, place, each) for place, each in bounds.items()]


async def _bounds(recording: Recording, topic: str) -> dict[Place, tuple[int, int]]:
    places = [Place(topic, number) for number in range(await recording.partitions(topic))]
    return {place: await recording.bounds(place) for place in places}
