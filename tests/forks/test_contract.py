"""What every back end of forks promises, asked of each: the real CLI and a real server."""

from __future__ import annotations

import dataclasses
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from app.forks.backend import Backend, CopyFailedError, GuardError, Moment, Phase
from app.forks.local import LocalBackend
from app.storage import migrations
from app.storage.database import Database
from tests.forks.tiger_api import TigerApi
from tests.forks.tiger_binary import WITH_BUILD, built
from tests.forks.tigers import tiger_backend
from tests.storage.conftest import NONE, SERVERS

PATIENT = 200.0
NOW = Moment()


@dataclass
class World:
    """A back end, and the same one as a second process has it.

    Attributes:
        backend: The one.
        other: The other.
        prefix: What the names of its copies begin with.
    """

    backend: Backend
    other: Backend
    prefix: str

    def name(self) -> str:
        return f"{self.prefix}{uuid.uuid4()}"


@asynccontextmanager
async def tiger() -> AsyncIterator[World]:
    program, reason = built()
    if program is None:
        pytest.skip(reason)
    async with TigerApi().serving() as api:
        yield World(tiger_backend(api, program), tiger_backend(api, program), "fm-")


@asynccontextmanager
async def local() -> AsyncIterator[World]:
    schema = f"forks_{os.getpid()}_{uuid.uuid4().hex[:6]}"
    prefix = schema.replace("_", "") + "-"
    settings = dataclasses.replace(SERVERS["first"], schema=schema, pool_max=4)
    async with Database(settings) as database:
        await migrations.apply(database)
        try:
            yield World(LocalBackend(settings, prefix), LocalBackend(settings, prefix), prefix)
        finally:
            async with database.transaction() as connection:
                await connection.execute("SET LOCAL client_min_messages = warning")
                await connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture(
    params=[
        pytest.param(tiger, marks=pytest.mark.timeout(WITH_BUILD)),
        pytest.param(local, marks=[pytest.mark.integration, *([] if SERVERS else [NONE])]),
    ]
)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with request.param() as made:
        try:
            yield made
        finally:
            await made.backend.close()
            await made.other.close()


async def test_a_copy_lives_and_every_process_sees_it(world: World) -> None:
    backend, other, name = world.backend, world.other, world.name()
    await backend.check()
    assert await backend.find(name) is None
    made = await backend.create(name, NOW)
    assert (made.name, made.source, made.standby) == (name, await backend.source(), False)
    assert made.environment == "DEV"
    seen = await other.find(name)
    assert seen is not None
    assert seen.handle == made.handle
    ready = await backend.wait(made, PATIENT)
    assert ready.phase is Phase.READY
    assert [copy.handle for copy in await other.copies()] == [made.handle]
    assert await other.connect(ready) == await backend.connect(ready)
    assert (await other.wait(made, PATIENT)).phase is Phase.READY
    with pytest.raises(GuardError):
        await other.delete(world.name(), made.handle)
    await other.delete(name, made.handle)
    assert await backend.copies() == []
    await backend.delete(name, made.handle)  # nothing is there any more: no effect
    with pytest.raises(CopyFailedError, match="is gone"):
        await backend.wait(made, PATIENT)


async def test_what_is_being_made_can_be_deleted_by_another(world: World) -> None:
    name = world.name()
    made = await world.backend.create(name, NOW)
    await world.other.delete(name, made.handle)
    assert await world.backend.find(name) is None
    with pytest.raises(CopyFailedError):
        await world.backend.wait(made, PATIENT)
