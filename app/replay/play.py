"""A source's records enter a pipeline; what those of a span of time make leaves."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter

from app.core.events import Output
from app.core.flow import Stage
from app.replay.cut import Cut
from app.replay.engine import Collect, Engine
from app.replay.sources.entering import Chunks, Entering

PIECE = 500

Watch = Callable[[int, int], Awaitable[None]]
"""Is told after each piece how many records have entered and the time of the last, milliseconds;
the replay goes on when it is done."""


@dataclass(frozen=True, slots=True)
class Span:
    """From a time on, to before another; milliseconds since the epoch UTC, none: no end.

    It is the time of what enters that counts. So spans that meet share no record and miss none:
    a candle that ends at `end` is closed by a record of the next span.
    """

    start: int | None = None
    end: int | None = None

    @property
    def moments(self) -> tuple[int, ...]:
        """Return where records of trades have to be split."""
        return tuple(time for time in (self.start, self.end) if time is not None)


class Gate:
    """Hands on what is made once it is open."""

    def __init__(self, collect: Collect, *, is_open: bool) -> None:
        self.is_open = is_open
        self._collect = collect

    def __call__(self, output: Output) -> None:
        """Hand an output on, or let it go."""
        if self.is_open:
            self._collect(output)


async def play(
    stages: Sequence[Stage],
    source: Chunks,
    collect: Collect,
    *,
    start: Cut | None = None,
    span: Span | None = None,
    watch: Watch | None = None,
) -> Engine:
    """Run a pipeline over a source to the end of a span; return it as it stands then.

    Args:
        stages: The pipeline.
        source: What enters, in event-time order, split at the span's moments; closed in the end.
        collect: Is handed what the span's records make.
        start: Where to start from; it must lie before the span.
        span: Which time counts.
        watch: Is told how far it has come, and waited for.
    """
    span = span or Span()
    gate = Gate(collect, is_open=span.start is None)
    engine = Engine(stages, gate, start)
    count = 0
    async with aclosing(source):
        async for chunk in source:
            part = _before(chunk, span.end)
            for time, topic, key, message, offset in part:
                if not gate.is_open and span.start is not None and time >= span.start:
                    gate.is_open = True
                engine.feed(topic, key, message, offset)
            count += len(part)
            if watch is not None and part:
                await watch(count, part[-1].time)
            if len(part) < len(chunk):
                break
    return engine


def _before(chunk: list[Entering], end: int | None) -> list[Entering]:
    return chunk if end is None else chunk[: bisect_left(chunk, end, key=attrgetter("time"))]


async def pieces(records: Iterable[Entering]) -> Chunks:
    """Yield the records of a source that does not wait, some hundred at a time."""
    iterator: Iterator[Entering] = iter(records)
    while piece := list(islice(iterator, PIECE)):
        yield piece
