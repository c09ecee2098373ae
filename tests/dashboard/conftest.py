"""A recorded run on a real broker and in a real database, and a dashboard that serves it."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import orjson
import pytest

from app.config import Settings, load
from app.dashboard.serving import server
from app.storage.database import Database
from tests.integration.conftest import NEEDED
from tests.integration.worker import Installation, installed
from tests.replay.test_explain_sources import store

T = TypeVar("T")

SECRET = "a-secret-of-the-tests"  # noqa: S105 - opens nothing but these tests' dashboards
CONFIGURATION = """
interval: 10s
market: {exchange: sim, stream: "ws://127.0.0.1:9", rest: "http://127.0.0.1:9"}
accounts:
  alpha: &account
    quote: USDT
    capital: 10000
    instruments: [SIM:AAAUSDT, SIM:BBBUSDT]
    strategies: {momentum: {}, macd: {}}
    risk: {order_notional: 4000, position_notional: 5000, gross_notional: 12000,
           daily_loss: 5000, drawdown: 0.5}
  beta: *account
"""


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=120)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass(frozen=True)
class Site:
    """A dashboard that serves an installation.

    Attributes:
        address: Where it is.
        settings: Of the installation.
        names: Of some of the run's records.
        loop: Where it runs.
    """

    address: str
    settings: Settings
    names: list[str]
    loop: Loop

    @asynccontextmanager
    async def visitor(self, secret: str | None = SECRET) -> AsyncIterator[Visitor]:
        """Lend somebody who asks, with or without the right secret."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        async with aiohttp.ClientSession(self.address, headers=headers) as session:
            yield Visitor(session)


@dataclass(frozen=True)
class Visitor:
    """Somebody who asks a dashboard."""

    session: aiohttp.ClientSession

    async def ask(self, path: str, **parameters: object) -> tuple[int, Any]:
        """Return the status and the document of an answer."""
        wanted = {name.rstrip("_"): str(value) for name, value in parameters.items()}
        async with self.session.get(path, params=wanted) as answer:
            return answer.status, orjson.loads(await answer.read())

    async def get(self, path: str, **parameters: object) -> Any:
        """Return the document of an answer, which must be one."""
        status, document = await self.ask(path, **parameters)
        assert status == 200, document
        return document

    async def patiently(self, path: str, **parameters: object) -> Any:
        """Return the document of an answer that a busy broker may delay."""
        while True:
            status, document = await self.ask(path, **parameters)
            if status != 503:
                assert status == 200, document
                return document
            assert document["part"] == "broker", document
            await asyncio.sleep(0.05)  # between two questions, not for an outcome

    async def post(self, path: str, document: object, **headers: str) -> tuple[int, Any]:
        """Send a document; return the status and the document of the answer."""
        async with self.session.post(
            path, json=document, headers={n.replace("_", "-"): v for n, v in headers.items()}
        ) as answer:
            body = await answer.read()
            return answer.status, orjson.loads(body) if body else None


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A dashboard of a run that is over."""
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        pytest.skip(f"needs a real broker and database: set {', '.join(missing)}, as ./run test")
    loop, stack = Loop(), AsyncExitStack()
    try:
        yield loop.run(_open(stack, loop, tmp_path_factory.mktemp("site")))
    finally:
        loop.run(stack.aclose())
        loop.close()


async def _open(stack: AsyncExitStack, loop: Loop, folder: Path) -> Site:
    installation = await stack.enter_async_context(installed(folder, configuration=CONFIGURATION))
    async with Database(installation.settings()) as database:
        names = await store(installation, database)
    settings = settings_of(installation)
    address = await stack.enter_async_context(served(settings))
    return Site(address, settings, names, loop)


def settings_of(installation: Installation) -> Settings:
    """Return an installation's settings as its processes would load them."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in installation.environment.items():
            patch.setenv(name, value)
        return load()


def changed(settings: Settings, **sections: dict[str, object]) -> Settings:
    """Return settings with some fields of some sections changed."""
    return replace(
        settings,
        **{
            name: getattr(settings, name).model_copy(update=fields)
            for name, fields in sections.items()
        },
    )


@asynccontextmanager
async def served(settings: Settings, secret: str = SECRET) -> AsyncIterator[str]:
    """Run a dashboard in this loop, on a free port; lend its address."""
    running = server(settings, secret, linked=False)
    running.config.lifespan = "on"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # Small, so that who takes nothing is soon noticed.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        task = asyncio.create_task(running._serve([listening]))
        try:
            while not running.started:
                assert not task.done(), task
                await asyncio.sleep(0.01)  # it can't be awaited
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            running.should_exit = True
            await task
