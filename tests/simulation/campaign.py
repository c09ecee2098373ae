"""A range of seeds enters, is run by several processes, and what all came through leaves."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.simulation.explore import run_seed
from tests.simulation.faults import GO
from tests.simulation.points import CELLS

CHUNK = 50
TWICE_EVERY = 20
AHEAD = 6
"""Pieces of work handed to each process at a time, so that none waits for another."""
RENEW_EVERY = 20
"""Chunks for each process after which a new one takes its place: what is frozen for ever in a
schedule is never let go of by Python, and would fill the memory in a long campaign."""


@dataclass(slots=True)
class Campaign:
    """What many schedules came through.

    Attributes:
        schedules: How many were run.
        again: How many of them were run twice, in two processes that hash strings differently.
        points: How often each point was passed, or hit by a fault, in runs that came out right.
        events: How often each other thing happened.
        failed: What was wrong, by seed.
        histories: The hash of each seed that is run twice.
        differed: Seeds whose two runs were not the same.
        repeats, steps: Of all.
        stopped: Whether somebody stopped it before its end.
    """

    schedules: int = 0
    again: int = 0
    points: dict[tuple[str, str], int] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    histories: dict[int, str] = field(default_factory=dict)
    differed: list[int] = field(default_factory=list)
    repeats: int = 0
    steps: int = 0
    stopped: bool = False

    def faults(self) -> int:
        """Return how many points were hit."""
        return sum(times for (_, fate), times in self.points.items() if fate != GO)

    def missed(self) -> list[tuple[str, str]]:
        """Return what no schedule came through."""
        return [cell for cell in CELLS if not self.points.get(cell)]

    def add(self, part: Campaign) -> None:
        """Add what other schedules came through; seeds run already are only compared."""
        for seed, history in part.histories.items():
            if self.histories.setdefault(seed, history) != history:
                self.differed.append(seed)
        self.schedules += part.schedules
        self.again += part.again
        self.repeats += part.repeats
        self.steps += part.steps
        self.failed |= part.failed
        for name, times in part.events.items():
            self.events[name] = self.events.get(name, 0) + times
        for cell, times in part.points.items():
            self.points[cell] = self.points.get(cell, 0) + times


def run_seeds(first: int, count: int) -> Campaign:
    """Run some seeds in this process."""
    result = Campaign(schedules=count)
    for seed in range(first, first + count):
        outcome = run_seed(seed)
        if seed % TWICE_EVERY == 0:
            result.histories[seed] = outcome.history
        result.repeats += outcome.repeats
        result.steps += outcome.steps
        if outcome.wrong:
            result.failed[seed] = "; ".join(outcome.wrong[:3])
            continue
        part = Campaign(points=outcome.tally.points, events=outcome.tally.events)
        result.add(part)
    return result


def run_again(seeds: list[int]) -> Campaign:
    """Run seeds a second time, for their histories alone."""
    return Campaign(again=len(seeds), histories={seed: run_seed(seed).history for seed in seeds})


def explore(
    first: int,
    count: int,
    processes: int,
    progress: Callable[[Campaign, Campaign], None] = lambda *_: None,
) -> Campaign:
    """Run seeds in several processes; every twentieth again in the next one.

    Args:
        first: The first seed.
        count: How many seeds.
        processes: How many processes.
        progress: Told after each chunk of seeds: the whole so far, and what was new. What it
            raises ends the campaign: chunks that have not begun are left out.

    Returns:
        What all came through; after a KeyboardInterrupt, what was run until then.
    """
    whole = Campaign()
    chunks = [
        (start, min(CHUNK, first + count - start)) for start in range(first, first + count, CHUNK)
    ]
    pools = [_pool(number) for number in range(processes)]
    try:
        for result in _results(pools, chunks):
            whole.add(result)
            progress(whole, result)
    except KeyboardInterrupt:
        whole.stopped = True
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)
    return whole


def _results(pools: list[ProcessPoolExecutor], chunks: list[tuple[int, int]]) -> Iterator[Campaign]:
    """Yield what chunks came through, in their order: what was yielded needs no second run."""
    waiting: deque[Future[Campaign]] = deque()
    for number, (start, count) in enumerate(chunks):
        if number and number % (RENEW_EVERY * len(pools)) == 0:
            _renew(pools)
        twice = [seed for seed in range(start, start + count) if seed % TWICE_EVERY == 0]
        waiting.append(pools[number % len(pools)].submit(run_seeds, start, count))
        waiting.append(pools[(number + 1) % len(pools)].submit(run_again, twice))
        while len(waiting) > AHEAD * len(pools):
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _renew(pools: list[ProcessPoolExecutor]) -> None:
    """Put new processes in the place of those that end with what they have to do."""
    for number, pool in enumerate(pools):
        pool.shutdown(wait=False)
        pools[number] = _pool(number)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _pool(number: int) -> ProcessPoolExecutor:
    """Return a pool of one process whose strings hash in their own way."""
    before = os.environ.get("PYTHONHASHSEED")
    os.environ["PYTHONHASHSEED"] = str(number)
    context = multiprocessing.get_context("spawn")
    # Whoever stops the campaign stops it here; a process ends its chunk, and is told no other.
    pool = ProcessPoolExecutor(1, context, _ignore_interrupts)
    pool.submit(int).result()  # started now, with that environment
    if before is None:
        del os.environ["PYTHONHASHSEED"]
    else:
        os.environ["PYTHONHASHSEED"] = before
    return pool
