"""Every kind of fault, by name: a site at work enters, and whether the fault met work leaves."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Literal

from app.pipeline import STAGES
from app.storage.tables import TABLES
from tests.faults.points import POINTS
from tests.faults.site import SYMBOLS, Site, Slot
from tests.storage.proxy import COMMIT_REQUEST, COMMITTED

Fault = Callable[[Site], Awaitable[bool]]
SESSION = 6.0
COPY = "amid the sink's COPY"
STAGED = frozenset(POINTS[:5])
"""The points that each stage passes by itself."""


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


async def broker_killed(site: Site) -> bool:
    if site.broker is None:
        return False
    site.broker.send(signal.SIGKILL)
    await asyncio.sleep(4 * site.chance.random())
    await site.broker.start()
    return True


async def broker_silent(site: Site) -> bool:
    if site.broker is None:
        return False
    site.broker.send(signal.SIGSTOP)
    try:
        await asyncio.sleep(2 + 10 * site.chance.random())
    finally:
        site.broker.send(signal.SIGCONT)
    return True


async def connections_killed(site: Site) -> bool:
    """End the workers' connections on the database's side."""
    ports = [writer.get_extra_info("sockname")[1] for writer in site.proxy._writers[1::2]]
    ended = await site.database.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port = ANY($1::int[])",
        ports,
    )
    return bool(ended)


async def database_refuses(site: Site) -> bool:
    await site.proxy.vanish()
    await asyncio.sleep(1 + 6 * site.chance.random())
    await site.proxy.listen()
    return True


async def database_silent(site: Site) -> bool:
    site.proxy.hold()
    await asyncio.sleep(1 + 12 * site.chance.random())
    site.proxy.release()
    return True


async def commit_lost(site: Site, way: Literal["asked", "answered"], message: bytes) -> bool:
    cuts = site.proxy.cuts
    site.proxy.cut(way, message)

    async def cut() -> bool:
        return site.proxy.cuts > cuts

    return await site.soon(cut)


async def older_database(site: Site) -> bool:
    """Put the database back to what it held a while ago."""
    schema = site.installation.schema
    copies = [(name, f"{schema}_old.{name}") for name in (*TABLES, "sink_offsets")]
    async with site.database.transaction("repeatable_read") as connection:
        await connection.execute(f"CREATE SCHEMA {schema}_old")
        for name, copy in copies:
            await connection.execute(f"CREATE TABLE {copy} AS TABLE {name}")
    await site.works(200)
    await site.proxy.vanish()
    async with site.database.transaction() as connection:
        for name, copy in copies:
            await connection.execute(f"TRUNCATE {name}")
            await connection.execute(f"INSERT INTO {name} TABLE {copy}")
        await connection.execute("SET LOCAL client_min_messages = warning")
        await connection.execute(f"DROP SCHEMA {schema}_old CASCADE")
    await site.proxy.listen()
    return True


async def connected(site: Site) -> bool:
    """Wait for a connection that a fault can strike."""

    async def there() -> bool:
        return site.play.connections > 0

    return await site.soon(there)


async def connection_cut(site: Site) -> bool:
    met = await connected(site)
    site.play.faults.cut()
    return met


async def connection_closed(site: Site) -> bool:
    met = await connected(site)
    site.play.faults.close()
    return met


async def shutdown_announced(site: Site) -> bool:
    met = await connected(site)
    site.play.faults.server_shutdown(close_after=1.0)
    return met


async def stream_stalls(site: Site) -> bool:
    met = await connected(site)
    connections = list(site.play._connections)
    site.play.faults.stall()

    async def given_up() -> bool:
        return not any(stalled in site.play._connections for stalled in connections)

    return await site.soon(given_up) and met


async def garbage(site: Site) -> bool:
    met = await connected(site)
    site.play.faults.garbage(site.chance.choice(["text", "utf8", "truncated"]))
    return met


async def shaped(site: Site, name: str, field: str, least: int) -> bool:
    """Let the next aggregates of an instrument be shown wrongly."""
    symbol = site.chance.choice(SYMBOLS)
    shaper = site.play._hub.shapers[symbol]
    getattr(site.play.faults, name)(symbol, site.chance.randrange(least, 12))

    async def shown() -> bool:
        return not getattr(shaper, field)

    return await site.soon(shown)


async def trades_lost(site: Site) -> bool:
    """Let the exchange itself lose trades: what nobody can have must become a gap."""
    symbol = site.chance.choice(SYMBOLS)
    market = site.play._hub.markets[symbol]
    site.play.faults.lose(symbol, site.chance.randrange(1, 12))

    async def lost() -> bool:
        return not market._losses_due

    return await site.soon(lost)


async def rest_answers(site: Site, statuses: Sequence[int]) -> bool:
    """Let REST refuse just when it is needed."""
    await connected(site)
    site.play.faults.rest_fail(site.chance.choice(statuses), site.chance.randrange(1, 4))
    site.play.faults.cut()
    forced = site.play._rest.forced

    async def answered() -> bool:
        return not forced

    met = await site.soon(answered)
    forced.clear()
    return met


async def rest_behind(site: Site) -> bool:
    """Let REST lack the newest trades just when they are needed."""
    met = await connected(site)
    site.play.faults.rest_behind(site.chance.randrange(1, 50))
    site.play.faults.cut()
    await asyncio.sleep(2 * site.chance.random())
    site.play.faults.rest_behind(0)
    return met


KINDS: dict[str, Fault] = {
    "worker killed": worker_killed,
    **{f"worker killed {point}": partial(killed_at, point=point) for point in POINTS},
    "worker frozen past its session": worker_frozen,
    "worker frozen between two effects": partial(
        frozen_at, points=[point for point in POINTS if point not in {"after claim", COPY}]
    ),
    "worker frozen amid the sink's COPY": partial(frozen_at, points=[COPY]),
    "second worker joins and leaves": joins_and_leaves,
    "second worker joins and is killed": joins_and_is_killed,
    "second worker joins, the first is killed": joins_while_the_first_is_killed,
    "broker killed": broker_killed,
    "broker silent": broker_silent,
    "database connections killed": connections_killed,
    "database refuses connections": database_refuses,
    "database silent": database_silent,
    "COMMIT lost": partial(commit_lost, way="asked", message=COMMIT_REQUEST),
    "COMMIT's answer lost": partial(commit_lost, way="answered", message=COMMITTED),
    "database put back to an older copy": older_database,
    "exchange cuts connections": connection_cut,
    "exchange closes connections": connection_closed,
    "exchange shuts down": shutdown_announced,
    "exchange stalls": stream_stalls,
    "exchange sends garbage": garbage,
    "exchange skips trades": partial(shaped, name="skip", field="skip", least=1),
    "exchange repeats trades": partial(shaped, name="duplicate", field="repeat", least=1),
    "exchange sends trades out of order": partial(shaped, name="reorder", field="reorder", least=2),
    "exchange sends trades late": partial(shaped, name="delay", field="delay", least=1),
    "exchange loses trades": trades_lost,
    "REST answers 429": partial(rest_answers, statuses=[429]),
    "REST fails": partial(rest_answers, statuses=[500, 502, 503, 403]),
    "REST behind": rest_behind,
}
OPEN_KINDS = frozenset({"worker frozen amid the sink's COPY"})
"""What is not withstood yet, as docs/guarantees.md says; only struck when it is named."""
BROKER_KINDS = frozenset({"broker killed", "broker silent"})
