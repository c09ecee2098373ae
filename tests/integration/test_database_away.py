"""A database that is absent, comes, goes and comes again: trading never waits, the sink does."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.events import Orders
from app.storage.database import Database
from tests.integration.worker import MINUTE, Installation, eventually, exchange
from tests.storage.proxy import Proxy

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


async def test_trading_goes_on_while_the_database_is_away(installation: Installation) -> None:
    settings = installation.settings()
    async with (
        Proxy(settings.host, settings.port) as proxy,
        exchange(speed=60.0) as play,
        Database(settings) as database,
    ):
        installation.environment["LOCKSTEP_DATABASE__HOST"] = "127.0.0.1"
        installation.environment["LOCKSTEP_DATABASE__PORT"] = str(proxy.port)
        installation.serve(play)
        await proxy.vanish()
        worker = await installation.start()
        await worker.says("waiting", '"sink"', "does not answer")
        await trades_on(installation)
        assert await database.fetchval("SELECT count(*) FROM orders") == 0
        await is_said_by_status(installation)

        await proxy.listen()
        await catches_up(installation, database)

        said = len(worker.lines)
        await proxy.vanish()
        await worker.says("waiting", '"sink"', "the database, since", since=said)
        await trades_on(installation)
        await proxy.listen()
        await catches_up(installation, database)
        assert worker.process.returncode is None


async def newest(installation: Installation) -> int:
    records = await installation.records("orders", Orders)
    return max((orders.time for orders in records), default=0)


async def trades_on(installation: Installation) -> None:
    """Orders of three further decision times come."""
    before = await newest(installation) or (await first(installation))

    def holds(found: list[Any]) -> bool:
        return max(orders.time for orders in found) >= before + 3 * MINUTE

    await installation.until("orders", Orders, holds)


async def first(installation: Installation) -> int:
    found = await installation.until("orders", Orders, bool)
    return min(orders.time for orders in found)


async def catches_up(installation: Installation, database: Database) -> None:
    """What stands on `orders` now stands in the table soon, and `status` tells no problem."""
    wanted = {
        order.order_id
        for orders in await installation.records("orders", Orders)
        for order in orders.orders
    }
    assert wanted

    async def stored() -> set[str]:
        return {row["order_id"] for row in await database.fetch("SELECT order_id FROM orders")}

    await eventually(stored, wanted.issubset)
    assert (await installation.status())["database"]["well"]


async def is_said_by_status(installation: Installation) -> None:
    status = await installation.status()
    assert not status["database"]["well"]
    assert "does not answer" in status["database"]["problem"]
    sink = status["stages"][-1]
    assert sink["stage"] == "sink"
    assert sink["lag"] > 0
    assert sink["waiting"] == {"database": status["database"]["problem"]}
    done = await installation.run("status")
    assert "does not answer" in done.out
