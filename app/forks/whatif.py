"""A recorded run, a moment and variants enter; what each would have made of the rest leaves."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from app.forks.whatif_batch import Batch, Outcome, run
from app.forks.whatif_change import Variant, changes
from app.forks.whatif_point import Point, restore, with_past
from app.forks.whatif_source import Recorded, Source
from app.replay.play import Watch

BATCH = 8
"""Variants that run beside each other in one process, at most."""

EXPLAINED = 8
"""Variants whose first difference is explained, and that are drawn, at most."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked.

    Attributes:
        source: The recorded run.
        time: The moment, milliseconds since the epoch UTC: what entered before it is shared.
        until: What entered from then on is left out; none: the end of what is recorded.
        variants: What is tried; none: the parent alone, from the moment on.
        processes: How many processes at once.
    """

    source: Source
    time: int
    until: int | None
    variants: tuple[Variant, ...]
    processes: int


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What came out.

    Attributes:
        point: Where the variants began.
        until: Where they ended; none: at the end of what is recorded.
        parent: The run itself, from the point on.
        variants: In the order they were asked for.
    """

    point: Point
    until: int | None
    parent: Outcome
    variants: tuple[Outcome, ...]


Tell = Callable[[int], None]
"""Is told how many variants are done."""


async def whatif(request: Request, watch: Watch | None = None, tell: Tell | None = None) -> WhatIf:
    """Restore a run as it stood at a moment and run it on from there, once for each variant.

    Args:
        request: What is asked.
        watch: Is told how far it has come, in records and time, while one process runs.
        tell: Is told how many variants are done, while several run.

    Raises:
        ConfigurationError: A setting does not fit, or nothing had been decided by the moment.
        LockstepError: The run can't be read.
    """
    async with request.source.open() as recorded:
        point = await prepared(recorded, request.time, request.variants, watch)
    batches = _batches(request, point)
    if len(batches) == 1:
        parent, *found = await run(batches[0], watch)
        return WhatIf(point, request.until, parent, tuple(found))
    parents: list[Outcome] = []
    outcomes: list[Outcome] = []
    async for own, *others in _parallel(batches, request.processes):
        parents = parents or [own]
        outcomes += others
        if tell is not None:
            tell(len(outcomes))
    return WhatIf(point, request.until, parents[0], tuple(outcomes))


async def prepared(
    recorded: Recorded, time: int, variants: Sequence[Variant], watch: Watch | None = None
) -> Point:
    """Return a run as it stood at a moment, with all that the variants need of the time before.

    Raises:
        ConfigurationError: A setting does not fit, or nothing had been decided by the moment.
        LockstepError: The run can't be read.
    """
    point = await restore(recorded, time, watch)
    found = [change.candles for each in variants for change in changes(point, each)]
    return await with_past(recorded, point, max(found, default=0), watch)


def _batches(request: Request, point: Point) -> list[Batch]:
    variants = request.variants
    size = max(1, min(BATCH, -(-len(variants) // request.processes)))
    parts = [variants[at : at + size] for at in range(0, len(variants), size)] or [()]
    return [
        Batch(request.source, point, request.until, part, explained=number * size < EXPLAINED)
        for number, part in enumerate(parts)
    ]


async def _parallel(batches: Sequence[Batch], processes: int) -> AsyncIterator[list[Outcome]]:
    """Yield the outcomes of each batch, in their order, as they are run in processes."""
    loop = asyncio.get_running_loop()
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_quiet)
    try:
        for running in [loop.run_in_executor(pool, _run, batch) for batch in batches]:
            yield await running
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()


def _run(batch: Batch) -> list[Outcome]:
    return asyncio.run(run(batch))


def _quiet() -> None:
    """End at once and in silence when the terminal interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
