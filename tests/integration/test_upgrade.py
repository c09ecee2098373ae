"""Upgrading as docs/operations.md says, step by step: drain, stop, and begin a new run."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from app.core.events import Epoch, Orders, Portfolio
from app.market.exchange import LocalExchange
from app.runtime.status import status
from tests.integration.proof import equals_its_replay, fills_the_tables
from tests.integration.worker import Installation, eventually, exchange, installed, paced

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

WORKER = ("-m", "tests.integration.other_worker")


async def test_another_version_begins_a_new_run_once_the_old_one_is_drained(
    installation: Installation, tmp_path: Path
) -> None:
    async with exchange(speed=60.0) as play:
        installation.serve(play)
        old = await installation.start()
        await decides(installation, play)

        # Another version on the old states is refused, which harms nothing.
        old.process.send_signal(signal.SIGTERM)
        assert await old.ends() == 0
        new = await installation.start(*WORKER, VERSION="2")
        assert await new.ends() == 1
        line = await new.says("stopped", "was written by version 1 of the deciding code")
        assert "this worker is version 2: drain the old version, then start a new run" in line
        old = await installation.start()
        await decides(installation, play)

        # Drained: all that entered is decided and stored.
        play.clock.hold()
        await drained(installation)
        old.process.send_signal(signal.SIGTERM)
        assert await old.ends() == 0
        replayed = await equals_its_replay(installation, least=5)
        await fills_the_tables(installation, replayed)

        (tmp_path / "new").mkdir()
        async with installed(tmp_path / "new", with_schema=False, with_topics=False) as fresh:
            fresh.serve(play)
            for words in (("topics", "create"), ("migrate",)):
                done = await fresh.run(*words, VERSION="2")
                assert done.code == 0, done.error
            await fresh.start(*WORKER, VERSION="2")
            await decides(fresh, play)
            epochs = await fresh.records("trades", Epoch)
            assert {epoch.version for epoch in epochs} == {2}
            await drained(fresh)
            await fills_the_tables(fresh, await equals_its_replay(fresh, least=5))
            for each in (installation, fresh):
                verified = await each.run("verify")
                assert verified.code == 0, verified.error
                assert verified.out.startswith("equal: ")


async def decides(installation: Installation, play: LocalExchange) -> None:
    """Orders of three decision times come that were not there."""
    before = {orders.time for orders in await installation.records("orders", Orders)}

    def holds(found: list[Orders]) -> bool:
        return len({orders.time for orders in found} - before) >= 3

    async with paced(installation, play):
        await installation.until("orders", Orders, holds)
        await installation.until("portfolio", Portfolio, lambda found: len(found) >= 4)


async def drained(installation: Installation) -> None:
    """Every stage waits for nothing but what the market has yet to bring, and all is stored."""

    async def lags() -> Mapping[str, int]:
        told = await status(installation.cluster, installation.settings())
        return {stage.stage: stage.lag for stage in told.stages}

    seen: list[Mapping[str, int]] = []

    def still(found: Mapping[str, int]) -> bool:
        seen.append(found)
        # Joins hold what they took until they decide, so their lag is not 0, but it stands.
        return found["sink"] == 0 and len(seen) > 10 and seen[-10:] == [found] * 10

    await eventually(lags, still)
