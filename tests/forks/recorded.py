"""A run that workers recorded in memory, as a fork reads it; and what a fork of it makes."""

from __future__ import annotations

import functools
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.core.events import Fill, Output
from app.forks.whatif import prepared
from app.forks.whatif_branch import Branch
from app.forks.whatif_change import Variant, changes
from app.forks.whatif_point import Point
from app.forks.whatif_source import Recorded, RecordedTopics, Source
from app.replay.cut import Cut, sent
from app.replay.sources.entering import Entering
from app.runtime.codec import decode, encode
from tests.replay.market import START, Market, end
from tests.replay.recording import MemoryTopics, recorded

INTERVALS = 40


@dataclass(frozen=True)
class Memory:
    """A source that is the topics themselves."""

    run: MemoryTopics

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Recorded]:
        yield RecordedTopics(self.run)


async def memory(seed: int, intervals: int = INTERVALS) -> Memory:
    return Memory(await recorded(Market(2, intervals), random.Random(seed), lead=1 + seed % 3))


def moments(seed: int, count: int, first: int = 2, last: int = INTERVALS - 2) -> list[int]:
    """Return drawn moments, some of them the ends of intervals."""
    draw = random.Random(seed)
    found = [draw.randrange(end(first), end(last)) for _ in range(count)]
    return [end((time - START) // 10_000) if n % 5 == 4 else time for n, time in enumerate(found)]


async def went_on(
    source: Source, time: int, variant: Variant | None = None
) -> tuple[Point, list[Output]]:
    """Return a point of a run, and all that is made from there on, with changes or without."""
    made: list[Output] = []
    async with source.open() as run:
        point = await prepared(run, time, [variant] if variant else [])
        entered: list[Entering] = []
        async for chunk in run.entering(point.cut, (time,)):
            entered += chunk
        found = changes(point, variant) if variant else ()
        before = [one for one in entered if one.time < time]
        branch = Branch(point, found, before, made.append)
        for one in entered[len(before) :]:
            branch.feed(one)
    return point, made


def after(cut: Cut, derived: dict[str, bytes]) -> dict[str, bytes]:
    """Return the records of a run that the states of a cut are not past."""
    numbers = {(state.stage, state.key): sent(state) for state in cut.states}
    kept = {}
    for name, raw in derived.items():
        identity = _message(raw).identity
        assert identity is not None
        last = numbers.get((identity.stage, identity.source), {}).get(identity.destination, 0)
        if identity.number > last:
            kept[name] = raw
    return kept


_message = functools.lru_cache(100_000)(decode)


def by_name(outputs: list[Output]) -> dict[str, bytes]:
    found = {output.message.name: encode(output.message) for output in outputs}
    assert len(found) == len(outputs)
    return found


def open_at(time: int, derived: dict[str, bytes]) -> int:
    """Return how many fills came from a moment on of orders that were given before it."""
    records = [_message(raw).record for raw in derived.values()]
    return sum(
        isinstance(each, Fill) and each.decision_time < time <= each.time for each in records
    )
