"""A worker's sweep on a real broker and a real server, with the settings of an installation."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from app.config import Settings, load
from app.core.events import ForkStep
from app.forks.opening import open_agent
from app.forks.sweeping import sweep_for_ever
from tests.integration.conftest import installation, servers
from tests.integration.worker import Installation, eventually

__all__ = ["installation", "servers"]

pytestmark = pytest.mark.integration


@pytest.fixture
async def configured(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in installation.environment.items():
        if name.startswith("LOCKSTEP_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOCKSTEP_FORKS__PREFIX", f"fm{os.getpid()}-")
    monkeypatch.setenv("LOCKSTEP_FORKS__SWEEP_EVERY", "50ms")
    return load(Path(installation.environment["LOCKSTEP_CONFIG"]))


async def test_a_worker_deletes_a_fork_whose_time_is_over(
    installation: Installation, configured: Settings
) -> None:
    async with open_agent(configured) as agent:
        life = await agent.create(ttl=1)
        assert life.step is ForkStep.READY
        sweeping = asyncio.create_task(sweep_for_ever(configured, installation.log))
        await eventually(lambda: agent.fork(life.fork_id), lambda found: found.over)
        sweeping.cancel()
        assert await agent.backend.find(life.fork_id) is None
    steps = [message.record.step for message in await installation.messages("forks")]  # type: ignore[union-attr]
    assert steps == ["requested", "creating", "ready", "deleting", "deleted"]


async def test_what_goes_wrong_is_said_and_never_ends_the_worker(
    installation: Installation, configured: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = configured.forks.model_copy(update={"backend": "tiger", "service": "abc"})
    object.__setattr__(configured, "forks", broken)
    sweeping = asyncio.create_task(sweep_for_ever(configured, installation.log))
    said: list[str] = []

    async def heard() -> str:
        said.append(capsys.readouterr().out)
        return "".join(said)

    await eventually(heard, lambda text: "TIGER_SECRET_KEY must be set" in text)
    assert not sweeping.done()
    sweeping.cancel()
