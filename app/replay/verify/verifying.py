"""A log enters; proof that its derived records follow from its inputs leaves, or what differs.

Every stage is stepped again over the inputs that the topics hold, and what it makes is compared
with what they hold, byte for byte. Since each stage's inputs are another's compared outputs or
entered from outside, all stages equal means the whole run equal. Topics are read piece by piece,
so that memory is that of one stage's machines and of what stands in another order than it is made.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence

from app.core.flow import Stage
from app.replay.sources.topics import Recording
from app.replay.verify.comparing import Comparison
from app.replay.verify.lines import Tally
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
            for number in range(await recording.partitions(topic)):
                first, end = await recording.bounds(Place(topic, number))
                total += end - first
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
    run = _Run(recording, stages, tell)
    for stage in stages:
        comparison = run.comparison(stage, following=False)
        await comparison.begin(time)
        await comparison.advance(run.told(stage))
        run.note(comparison)
    return await run.verdict()


async def follow(
    recording: Recording,
    stages: Sequence[Stage],
    time: int | None = None,
    tell: Tell | None = None,
) -> AsyncGenerator[Verdict, None]:
    """Yield the verdict over all there is, again each time it is asked for, till one differs.

    Machines are kept, and only what the topics have grown by is read. It takes what `verify` does.
    """
    run = _Run(recording, stages, tell)
    comparisons = [run.comparison(stage, following=True) for stage in stages]
    for comparison in comparisons:
        await comparison.begin(time)
    while True:
        run.found = Verdict()
        for comparison in comparisons:
            await comparison.advance(run.told(comparison.stage))
            run.note(comparison)
        verdict = await run.verdict()
        yield verdict
        if verdict.different:
            return


class _Run:
    """One verification.

    Attributes:
        found: What was found by now.
    """

    def __init__(self, recording: Recording, stages: Sequence[Stage], tell: Tell | None) -> None:
        self.found = Verdict()
        self._recording = recording
        self._search = Search(recording, stages)
        self._tell = tell
        self._taken = 0
        self._suspects = Suspects()
        self._writers: dict[str, list[str]] = {}
        for stage in stages:
            for topic in stage.outputs:
                self._writers.setdefault(topic, []).append(stage.name)
        self._tallies = {topic: Tally() for topic in self._writers}

    def comparison(self, stage: Stage, *, following: bool) -> Comparison:
        """Return the comparison of one stage, which has not begun."""
        return Comparison(
            self._recording,
            stage,
            strays=self._strays(stage),
            tallies=self._tallies,
            suspects=self._suspects,
            following=following,
        )

    def told(self, stage: Stage) -> Callable[[], None]:
        """Return what counts an input record of a stage."""

        def count() -> None:
            self._taken += 1
            if self._tell is not None and self._taken % OFTEN == 0:
                self._tell(self._taken, stage.name)

        return count

    def note(self, comparison: Comparison) -> None:
        """Add what one stage's comparison has come to."""
        found, lines = self.found, comparison.lines
        if comparison.through:  # a strategy that no account lists makes nothing
            found.through = min(comparison.through, found.through or comparison.through)
        found.repeats += lines.repeats
        found.pending += lines.pending
        found.gone += lines.gone
        found.unproven |= comparison.stepper.unproven
        times = [state.time for state in comparison.starts.states.values()]
        if times:
            found.since = max(*times, found.since or 0)
        for place, first in comparison.firsts.items():
            if first:
                found.truncated[f"{place.topic}/{place.partition}"] = first

    async def verdict(self) -> Verdict:
        """Return the outcome; what differs is looked up."""
        found = self.found
        found.counts = {topic: tally.count for topic, tally in self._tallies.items()}
        found.digests = {topic: f"{tally.total:032x}" for topic, tally in self._tallies.items()}
        found.differences = await self._search.differences(self._suspects)
        found.different = self._suspects.count
        return found

    def _strays(self, stage: Stage) -> dict[str, frozenset[str]]:
        """Return the topics on which this stage answers for records of no stage, with the stages.

        Of the stages that write a topic, the first does.
        """
        return {
            topic: frozenset(names)
            for topic, names in self._writers.items()
            if names[0] == stage.name
        }
