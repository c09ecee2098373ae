"""A source enters; it is run through the pipeline, and a trace of what it decided leaves.

These functions run in a process of their own (`fresh`), which loads the strategies anew.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from app import running
from app.backtest.signals import Course, Courses, Follower
from app.backtest.source import Chunks, Source
from app.backtest.trace import Place, Rows, Trace, difference
from app.core.events import Account, Epoch, Output, Trades
from app.core.strategies import STRATEGIES
from app.pipeline import STAGES
from app.replay.play import play
from app.replay.sources.entering import Entering


@dataclass(slots=True)
class Fed:
    """What was fed; times in milliseconds since the epoch UTC.

    Attributes:
        times: Of every trade, by instrument.
        interval: The base interval, milliseconds.
        accounts: By name, as first configured.
    """

    times: dict[str, array[int]] = field(default_factory=dict)
    interval: int = 60_000
    accounts: dict[str, Account] = field(default_factory=dict)

    def take(self, entering: Entering) -> None:
        """Take a record."""
        record = entering.message.record
        if isinstance(record, Trades):
            self.times[entering.key].extend(record.time)
        elif isinstance(record, Epoch):
            self.interval = record.interval
            self.times.setdefault(entering.key, array("q"))
            self.accounts.setdefault(record.account.name, record.account)

    @property
    def settled(self) -> int:
        """The last decision time that a trade of every instrument has confirmed.

        Behind it the end of the input shows: it closes what is still open.
        """
        newest = (max(times, default=0) for times in self.times.values())
        return min(newest, default=0) // self.interval * self.interval

    def settlements(self, begin: int) -> list[int]:
        """Return when each decision time from `begin` on was settled, and not before."""
        every = [np.sort(np.asarray(times)) for times in self.times.values()]
        stop = self.settled + 1
        decisions = np.arange(max(begin, 1), stop, self.interval, dtype=np.int64)
        firsts = [times[np.searchsorted(times, decisions)] for times in every]
        found: list[int] = np.unique(np.max(firsts, axis=0)).tolist() if firsts else []
        return found


@dataclass(frozen=True, slots=True)
class Whole:
    """A run over all of a source.

    Attributes:
        rows: What it decided.
        fed: What it was fed.
        courses: What the strategies said.
        again: Where a second run in the same process differed.
        warmups: By who says it, the base intervals a strategy declares to warm up on.
    """

    rows: Rows
    fed: Fed
    courses: dict[Follower, Course]
    again: Place | None
    warmups: dict[Follower, int]


def whole(source: Source) -> Whole:
    """Run a source twice in this process."""
    courses = Courses()
    fed, first = running.run(_run(source, None, courses))
    _, second = running.run(_run(source))
    warmups = {who: _warmup(fed.accounts[who[0]], who[1]) for who in courses.found}
    return Whole(first.rows, fed, courses.found, difference(first.rows, second.rows), warmups)


def part(source: Source) -> tuple[Rows, int]:
    """Run a source once; return what it decided, and up to when that is settled."""
    fed, trace = running.run(_run(source))
    return trace.rows, fed.settled


def kept(source: Source, place: Place, times: int) -> list[bytes]:
    """Run a source so many times in this process; return what the last one made at a place."""
    for _ in range(times - 1):
        running.run(_run(source))
    _, trace = running.run(_run(source, place))
    return trace.kept


def courses(source: Source) -> dict[Follower, Course]:
    """Run a source once; return what the strategies said."""
    found = Courses()
    running.run(_run(source, None, found))
    return found.found


async def _run(
    source: Source, keep: Place | None = None, also: Callable[[Output], None] | None = None
) -> tuple[Fed, Trace]:
    fed = Fed()
    trace: Trace | None = None

    def collect(output: Output) -> None:
        nonlocal trace
        if trace is None:
            trace = Trace(fed.interval, keep)
        trace(output)
        if also is not None:
            also(output)

    await play(STAGES, _noted(source.chunks(), fed), collect)
    return fed, trace or Trace(fed.interval)


async def _noted(chunks: Chunks, fed: Fed) -> Chunks:
    async for chunk in chunks:
        for entering in chunk:
            fed.take(entering)
        yield chunk


def _warmup(account: Account, name: str) -> int:
    strategy = STRATEGIES[name]
    parameters = next(each.parameters for each in account.strategies if each.name == name)
    return strategy.history(strategy.parse(parameters))
