"""A person at the controls: halt, resume, flatten and status while a worker trades."""

from __future__ import annotations

import operator
from typing import Any

import pytest

from app.commands.status import COLUMNS
from app.core.events import Halted, Limit, Orders, Portfolio, Refusal, Resumed, Side
from app.pipeline import EDGES, STAGES
from tests.integration.worker import MINUTE, A, B, Installation, X, eventually, exchange, invested

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

MARKET, SINK = EDGES


async def test_halt_resume_and_flatten_act_while_the_worker_runs(
    installation: Installation,
) -> None:
    async with exchange(speed=60.0) as play:
        installation.serve(play)
        worker = await installation.start()
        await bought_since(installation, 0)

        await give(installation, "halt")
        halted = await since(installation, Halted, 0)
        refusal = await since(installation, Refusal, halted.time, limit=Limit.HALTED)
        await give(installation, "resume")
        resumed = await since(installation, Resumed, refusal.time)
        await bought_since(installation, resumed.time)
        assert await opened(installation, halted.time, resumed.time) == []

        await give(installation, "flatten", "--yes")
        flattened = await since(installation, Halted, resumed.time)
        assert (halted.flatten, flattened.flatten) == (False, True)
        await installation.until(
            "portfolio", Portfolio, lambda found: is_flat(found, flattened.time + MINUTE)
        )
        assert await opened(installation, flattened.time, None) == []
        await is_shown(installation)
        play.faults.rest_fail(503, 100_000)  # so that nobody can fill the hole
        play.faults.skip("AAAUSDT", 3)
        await gap_is_shown(installation)
    await waiting_is_shown(installation)
    assert worker.process.returncode is None


async def give(installation: Installation, action: str, *options: str) -> None:
    done = await installation.run(action, "paper", "--reason", "a test", *options)
    assert done.code == 0, done.error
    assert f"{action} of paper stands in {installation.prefix}signals/" in done.out


async def since(
    installation: Installation, kind: type[Any], time: int, limit: Limit | None = None
) -> Any:
    """Wait for the first notice of risk to the account after a time."""

    def fitting(found: list[Any]) -> list[Any]:
        return [
            each
            for each in found
            if each.account == "paper" and each.time > time and (not limit or each.limit is limit)
        ]

    return fitting(await installation.until("risk", kind, fitting))[0]


async def opened(installation: Installation, start: int, end: int | None) -> list[Any]:
    """Return the account's buying orders from one decision time on, before another."""
    return [
        order
        for orders in await installation.records("orders", Orders)
        if orders.account == "paper" and start <= orders.time and (not end or orders.time < end)
        for order in orders.orders
        if order.side is Side.BUY
    ]


async def bought_since(installation: Installation, time: int) -> None:
    """Wait until the account has opened something from that time on."""
    await installation.until(
        "orders",
        Orders,
        lambda found: any(
            orders.account == "paper" and orders.time >= time and order.side is Side.BUY
            for orders in found
            for order in orders.orders
        ),
    )


def is_flat(portfolios: list[Any], time: int) -> bool:
    newest = [each for each in portfolios if each.account == "paper" and each.time >= time]
    return bool(newest) and not invested(newest[-1].holdings)


async def is_shown(installation: Installation) -> None:
    """Status names every stage in flow order, who runs it, and how far it has come."""

    def come(status: Any) -> bool:  # the sink may still be behind the topics
        return all((stage["time"] or "") > "2019-10-11T01:00:00Z" for stage in status["stages"])

    status = await eventually(installation.status, come, installation.said)
    names = [MARKET, *(stage.name for stage in STAGES), SINK]
    assert [stage["stage"] for stage in status["stages"]] == names
    for stage in status["stages"]:
        assert len(stage["workers"]) == 1
    assert status["database"]["well"]
    assert status["gaps"] == []
    done = await installation.run("status")
    header, *lines = done.out.splitlines()
    assert header.split() == " ".join(COLUMNS).split()
    assert [line.split()[0] for line in lines if line[0] != " "][: len(names)] == names


async def gap_is_shown(installation: Installation) -> None:
    """Trades that are looked for in vain are named."""
    (gap, *_) = (await eventually(installation.status, operator.itemgetter("gaps")))["gaps"]
    assert gap["instrument"] == A
    assert gap["last_id"] == gap["first_id"] + 2
    assert gap["from"] <= gap["to"]
    assert (
        f"gap open: {A} from trade {gap['first_id']} on" in (await installation.run("status")).out
    )


async def waiting_is_shown(installation: Installation) -> None:
    """Feeds whose exchange is gone wait for a connection, each on a line of its own."""

    def holds(status: Any) -> bool:
        return set(status["stages"][0]["waiting"]) == {A, B, X}

    await eventually(installation.status, holds)
    lines = (await installation.run("status")).out.splitlines()
    assert [name for name in (A, B, X) if any(f" {name}: " in line for line in lines)] == [A, B, X]
