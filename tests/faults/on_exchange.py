"""What the exchange can do: a site at work enters, and whether the fault met work leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.faults.site import SYMBOLS, Site

BANNED, BAN_SECONDS = 418, 2


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


async def connection_outlived(site: Site) -> bool:
    """Cut as the exchange does after 24 hours."""
    met = await connected(site)
    site.play.faults.close(site.play._settings.lifetime_close_code or 1001, "")
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
    status = site.chance.choice(statuses)
    again = BAN_SECONDS if status == BANNED else None
    site.play.faults.rest_fail(status, site.chance.randrange(1, 4), again)
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
