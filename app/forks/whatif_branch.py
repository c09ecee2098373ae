"""A restored run and changes enter; a pipeline that goes on from there leaves, to be fed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from app.core.events import Message, Output
from app.forks.whatif_change import Change
from app.forks.whatif_point import Point
from app.forks.whatif_warm import settled
from app.pipeline import STAGES
from app.replay.cut import Cut, sent
from app.replay.engine import Engine
from app.replay.sources.entering import Entering
from app.replay.sources.topics import TRADES

Collect = Callable[[Output], object]


class Branch:
    """One pipeline, from a point on: the parent's own, or one with changes.

    Without changes it makes what the run has made. With some the new configurations enter at the
    point, and then the strategies' states are set: what follows is fed to an engine that starts
    from there.
    """

    def __init__(
        self,
        point: Point,
        changes: Sequence[Change],
        before: Sequence[Entering],
        collect: Collect,
    ) -> None:
        """Begin.

        Args:
            point: Where.
            changes: Of the accounts that differ from the parent's.
            before: What entered before the point and must be read again, in order.
            collect: Is handed every record that is made.
        """
        self._changes = changes
        again = [*before, *_steering(point, changes, before)]
        start = point.cut
        if changes:
            start = settled(_changed(start, again, collect), changes, point)
        self._engine = Engine(STAGES, collect, start)
        for one in again:
            self._engine.feed(*one[1:])

    def feed(self, entering: Entering) -> None:
        """Take what entered the run at the point or later, and all that follows from it."""
        _, topic, key, message, offset = entering
        if topic == TRADES and self._changes:
            message = self._own(message)
        self._engine.feed(topic, key, message, offset)

    def waiting(self) -> dict[str, str]:
        """Return what each stage waits for, by stage and key."""
        return self._engine.waiting()

    def _own(self, message: Message) -> Message:
        record = message.record
        for change in self._changes:
            record = change.later(record)
        return message if record is message.record else Message(record)


def _changed(start: Cut, again: Sequence[Entering], collect: Collect) -> Cut:
    """Return the cut in which the new configurations have been read.

    What its states are past is handed on: the engine that starts from it won't make that again.
    """
    made: list[Output] = []
    engine = Engine(STAGES, made.append, start)
    for one in again:
        engine.feed(*one[1:])
    cut = engine.cut()
    numbers = {(state.stage, state.key): sent(state) for state in cut.states}
    for output in made:
        identity = output.message.identity
        if identity is not None and identity.number <= numbers[identity.stage, identity.source].get(
            identity.destination, 0
        ):
            collect(output)
    return cut


def _steering(
    point: Point, changes: Sequence[Change], before: Sequence[Entering]
) -> Iterator[Entering]:
    """Yield what the changes add, where each instrument's trades had come to."""
    offsets = {
        state.key: state.needs.get(TRADES, 0)
        for state in point.cut.states
        if state.stage == "candles"
    }
    for one in before:
        if one.topic == TRADES:
            offsets[one.key] = max(one.offset, offsets.get(one.key, 0))
    for change in changes:
        for name, records in change.records.items():
            for record in records:
                yield Entering(point.time, TRADES, name, Message(record), offsets.get(name, 0))
