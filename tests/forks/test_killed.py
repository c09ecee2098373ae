"""The agent is killed at each of its effects, in the midst of the CLI's work, too."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from app import data
from app.core.events import ForkStep
from app.forks.agent import ForkAgent
from app.forks.lives import Life
from app.forks.sweep import Sweep
from tests.forks.mortal import agent_of
from tests.forks.tiger_api import SOURCE, Service, TigerApi
from tests.forks.tiger_binary import WITH_BUILD

PATIENT = 120.0
"""Seconds that only a hang takes."""
MOST = 60
pytestmark = pytest.mark.timeout(WITH_BUILD)


class Mortals:
    """Has things done by processes that may die of it."""

    def __init__(self, process: asyncio.subprocess.Process, task: dict[str, Any]) -> None:
        self._process = process
        self._task = task

    async def do(self, what: str, **more: Any) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(orjson.dumps({**self._task, "do": what, **more}) + b"\n")
        return (await self._process.stdout.readline()).decode().strip()

    def begin(self, ledger: Path) -> ForkAgent:
        """Begin with an empty ledger; return an agent that lives."""
        self._task["ledger"] = str(ledger)
        return agent_of(self._task)


@pytest.fixture
async def mortals(api: TigerApi, tiger: Path, tmp_path: Path) -> AsyncIterator[Mortals]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.forks.mortal",
        cwd=data.PACKAGE.parent,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # they leave what they can't tidy up
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    task = {"program": str(tiger), "api": api.url}
    yield Mortals(process, task)
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


def foreigners(api: TigerApi) -> set[str]:
    """Add what looks like ours and is not."""
    replica = {"service_id": SOURCE, "is_standby": True}
    added = [
        api.fork("fm-of-somebody-else"),
        api.fork("fm-replica", origin=replica),
        api.fork("fm-of-another", source="another001"),
        api.add(Service("unrelated1", "fm-new", "pw", [], None, status="READY")),
    ]
    return {SOURCE, *(service.id for service in added)}


def settled(api: TigerApi, lives: list[Life], foreign: set[str]) -> bool:
    """Tell whether each fork is usable with its copy there, or over without one."""
    there = {service.name: service.id for service in api.services.values()
             if service.id not in foreign}  # fmt: skip
    known = {life.fork_id: life for life in lives}
    if not set(there) <= set(known):
        return False
    return all(
        (life.usable and there.get(name) == life.handle)
        if name in there
        else not (life.usable or life.takes_room)
        for name, life in known.items()
    )


async def in_order(
    mortals: Mortals, agent: ForkAgent, api: TigerApi, foreign: set[str]
) -> list[Life]:
    """Sweep while a CLI whose parent was killed may still be at work, and once none is."""
    await swept(agent, api, foreign)
    assert await mortals.do("rest") == "nobody is left"
    return await swept(agent, api, foreign)


async def swept(agent: ForkAgent, api: TigerApi, foreign: set[str]) -> list[Life]:
    """Sweep until everything is in order."""
    async with asyncio.timeout(PATIENT):
        while True:
            await Sweep(agent, patience=0, ready_within=60.0).run()
            lives = await agent.forks()
            if settled(api, lives, foreign):
                return lives


async def test_killed_at_each_effect_of_making_a_fork(
    api: TigerApi, mortals: Mortals, tmp_path: Path
) -> None:
    foreign = foreigners(api)
    for effects in range(MOST):
        agent = mortals.begin(tmp_path / f"forks-{effects}")
        end = await mortals.do("create", effects=effects)
        await in_order(mortals, agent, api, foreign)
        await agent.backend.close()
        if end != "killed":
            break
        for service in set(api.services) - foreign:
            del api.services[service]
    assert (end, effects > 8) == ("ended 0", True)
    assert not set(api.deleted) & foreign
    agent.ledger.now = lambda: 2**42  # its time is over
    await Sweep(agent, patience=0).run()
    await agent.backend.close()
    assert set(api.services) == foreign


async def test_killed_at_each_effect_of_deleting_a_fork(
    api: TigerApi, mortals: Mortals, tmp_path: Path
) -> None:
    api.usual, api.deleting = ["READY"], 0
    foreign = foreigners(api)
    for effects in range(MOST):
        agent = mortals.begin(tmp_path / f"forks-{effects}")
        life = await agent.create()
        end = await mortals.do("delete", effects=effects, fork=life.fork_id)
        if await step_of(agent) is ForkStep.READY:
            await agent.delete(life.fork_id)  # killed before the wish was on record
        (life,) = await in_order(mortals, agent, api, foreign)
        assert life.over
        assert set(api.services) == foreign
        await agent.backend.close()
        if end != "killed":
            break
    assert (end, effects > 6) == ("ended 0", True)
    assert not set(api.deleted) & foreign


async def step_of(agent: ForkAgent) -> ForkStep:
    (life,) = await agent.forks()
    return life.step
