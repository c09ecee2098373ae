"""What can happen to workers: a site at work enters, and whether the fault met work leaves."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from app.errors import BUG
from app.pipeline import STAGES
from tests.faults import clock
from tests.faults.points import POINTS, STEP
from tests.faults.site import Site, Slot

SESSION = 6.0
STAGED = frozenset({*POINTS[:5], STEP})
"""The points that each stage passes by itself."""
HOURS = (-30, -7, -1, 2, 11, 26)


async def worker_killed(site: Site) -> bool:
    await asyncio.sleep(site.chance.random() / 2)
    return site.chance.choice(site.slots).send(signal.SIGKILL)


async def killed_at(site: Site, point: str, stage: str = "") -> bool:
    ended = sum(len(slot.exits) for slot in site.slots)

    async def dead() -> bool:
        return sum(len(slot.exits) for slot in site.slots) > ended

    async with ordered(site, "kill", point, stage):
        if point != "after claim":
            return await site.soon(dead)
        second = site.join()  # who joins lets everybody claim
        met = await site.soon(dead)
        await site.leave(second)
        return met


@asynccontextmanager
async def ordered(site: Site, what: str, point: str, stage: str = "") -> AsyncIterator[None]:
    """Order what is to happen at a point, to whichever worker passes there first."""
    if point in STAGED and not stage:
        stage = site.chance.choice([stage.name for stage in STAGES])
    order = f"{what} {stage}{': ' * bool(stage)}{point}#{site.chance.randrange(1, 4)}"
    part = site.orders.with_suffix(".part")
    part.write_text(order)
    part.rename(site.orders)
    try:
        yield
    finally:
        site.orders.unlink(missing_ok=True)


async def worker_frozen(site: Site) -> bool:
    """Stop a worker at a random moment for longer than its session; another takes over."""
    await asyncio.sleep(site.chance.random() / 2)
    frozen = site.slots[0]
    met = frozen.send(signal.SIGSTOP)
    await thaw(site, frozen)
    return met


async def frozen_at(site: Site, points: Sequence[str]) -> bool:
    """The same between two effects: what it had under way, it does when it wakes."""
    point = site.chance.choice(points)

    async def stands() -> bool:
        return any(slot.frozen for slot in site.slots)

    async with ordered(site, "freeze", point):
        if not await site.soon(stands):
            return False
    await thaw(site, next(slot for slot in site.slots if slot.frozen))
    return True


async def thaw(site: Site, frozen: Slot) -> None:
    """Let a second worker take over, or none, before a frozen one goes on."""
    if site.chance.random() < 0.3:
        await asyncio.sleep(SESSION + 2)
        frozen.send(signal.SIGCONT)
        return
    try:
        second = await site.joined()
        await site.works()
    finally:
        frozen.send(signal.SIGCONT)
    await site.works()
    await site.leave(site.chance.choice([second, frozen]))


async def joins_and_leaves(site: Site) -> bool:
    second = await site.joined()
    await asyncio.sleep(4 * site.chance.random())  # while it takes over, or later
    return await site.leave(second) == 0


async def joins_and_is_killed(site: Site) -> bool:
    second = await site.joined()
    await asyncio.sleep(4 * site.chance.random())
    met = second.send(signal.SIGKILL)
    await site.leave(second, signal.SIGKILL)
    return met


async def joins_while_the_first_is_killed(site: Site) -> bool:
    first = site.slots[0]
    await site.joined()
    await asyncio.sleep(4 * site.chance.random())
    met = first.send(signal.SIGKILL)
    await site.leave(first, signal.SIGKILL)
    return met


async def step_raises(site: Site) -> bool:
    """Let a machine raise: the worker must end, and the next one, to whom it doesn't, go on."""
    bugs = site.exits().count(BUG)

    async def ended() -> bool:
        return site.exits().count(BUG) > bugs

    async with ordered(site, "raise", STEP):
        return await site.soon(ended) and site.said("stopped", "ordered at ")


async def clock_steps(site: Site) -> bool:
    """Put every worker's wall clock wrong by hours while it works."""
    processes = [slot.pid for slot in site.slots if slot.pid]
    before = site.clock.read_text() if site.clock.exists() else "0"
    hours = str(site.chance.choice([each for each in HOURS if str(each) != before]))
    set_clock(site, hours)

    async def noticed() -> bool:
        files = [clock.seen(site.clock, pid) for pid in processes]
        return any(file.exists() and file.read_text() == hours for file in files)

    return await site.soon(noticed)


async def starts_with_a_wrong_clock(site: Site) -> bool:
    """Start a worker whose wall clock is wrong by hours."""
    set_clock(site, str(site.chance.choice(HOURS)))
    return site.chance.choice(site.slots).send(signal.SIGTERM)


def set_clock(site: Site, hours: str) -> None:
    part = site.clock.with_suffix(".part")
    part.write_text(hours)
    part.rename(site.clock)
