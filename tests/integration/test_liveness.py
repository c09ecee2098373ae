"""A worker that is stuck ends, so that another can go on; what it left is done again, once."""

from __future__ import annotations

import pytest

from app.core.events import Portfolio
from app.runtime.watchdog import EXIT_STUCK
from tests.integration.proof import equals_its_replay, fills_the_tables
from tests.integration.worker import MINUTE, START, Installation, exchange

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

MINUTES = 6


@pytest.mark.parametrize("how", ["busy", "waiting"])
async def test_a_stuck_worker_is_ended_and_another_goes_on(
    installation: Installation, how: str
) -> None:
    async with exchange(speed=120.0, until=START + (MINUTES + 1) * MINUTE) as play:
        installation.serve(play)
        stuck = await installation.start(
            "-m",
            "tests.integration.other_worker",
            HANG=f"{how} allocation",
            LOCKSTEP_WORKER__WATCHDOG="2",
        )
        assert await stuck.ends() == EXIT_STUCK
        # Where the loop itself is blocked, others are stuck with it; the stacks tell who did it.
        line = await stuck.says("stuck", *(['"allocation"'] if how == "waiting" else []))
        assert "no progress for 2 s on one batch" in line
        assert any("in block" in each for each in stuck.lines) is (how == "busy")
        await installation.start()
        await play.finished()

        def holds(found: list[Portfolio]) -> bool:
            newest = {each.account: each.time for each in found}
            return all(
                newest.get(each, 0) >= START + MINUTES * MINUTE for each in ("paper", "real")
            )

        await installation.until("portfolio", Portfolio, holds)
    await fills_the_tables(installation, await equals_its_replay(installation, least=MINUTES))
