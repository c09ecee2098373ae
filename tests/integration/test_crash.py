"""A worker stopped and killed in its work: what it leaves equals an undisturbed replay."""

from __future__ import annotations

import json
import signal
from collections import Counter
from typing import Any

import pytest

from app.core.events import Portfolio
from app.market.exchange import LocalExchange
from app.runtime import topics
from app.runtime.sink import SINK_TOPICS
from tests.integration.proof import equals_its_replay, fills_the_tables
from tests.integration.worker import (
    MINUTE,
    START,
    Installation,
    Worker,
    eventually,
    exchange,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

MINUTES = 24


async def test_stopped_and_killed_in_its_work_it_ends_as_if_nothing_had_been(
    installation: Installation,
) -> None:
    async with exchange(speed=300.0, until=START + (MINUTES + 1) * MINUTE) as play:
        installation.serve(play)
        worker = await installation.start()
        await play.reached(START + 6 * MINUTE)
        play.clock.hold()
        await decided(installation, 3)
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.ends() == 0

        worker = await restarted(installation, play)
        assert (await installation.run("halt", "real")).code == 0
        await play.reached(START + 14 * MINUTE)
        play.clock.hold()
        await decided(installation, 9)
        assert await worker.end(signal.SIGKILL) == -signal.SIGKILL

        await restarted(installation, play)
        assert (await installation.run("resume", "real")).code == 0
        await play.finished()
        await decided(installation, MINUTES - 1)
    replayed = await equals_its_replay(installation, least=MINUTES)
    await fills_the_tables(installation, replayed)
    await is_readable(installation)


async def restarted(installation: Installation, play: LocalExchange) -> Worker:
    """Start a worker, and let time go on once it is connected."""
    worker = await installation.start()
    await worker.says("assigned", '"market"')

    async def connections() -> int:
        return play.connections

    await eventually(connections, bool)
    play.clock.release()
    return worker


async def decided(installation: Installation, count: int) -> None:
    """Wait until every account has decided so many times."""

    def holds(portfolios: list[Any]) -> bool:
        decisions = Counter(portfolio.account for portfolio in portfolios)
        return all(decisions[account] >= count for account in ("paper", "real"))

    await installation.until("portfolio", Portfolio, holds)


async def is_readable(installation: Installation) -> None:
    """Every record of every topic is a JSON object that says what it is."""
    for topic in (*SINK_TOPICS, *(name for name in topics.declared() if "state" in name)):
        for stored in await installation.stored(topic):
            assert json.loads(stored.value or b"")["type"] in topics.records_of(topic)
            assert (stored.key or b"").decode()
