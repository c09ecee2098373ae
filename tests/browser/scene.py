"""A small run that goes on, its dashboard behind a proxy, and how both are reached from a test."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from app.core.events import Fill, Orders, Side
from app.dashboard import pages
from tests.integration.worker import (
    LOCKSTEP,
    Installation,
    Worker,
    exchange,
    installed,
    paced,
)
from tests.ports import LOOPBACK, free_port
from tests.storage.proxy import Proxy

PASSWORD = "the password of a test"  # noqa: S105 - of a server that lives for a minute
DEADLINE = 240.0
SPEED = 60.0
T = TypeVar("T")


class Loop:
    """An event loop in a thread of its own: the browser's driver wants the test's thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, task: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and return what it does."""
        return asyncio.run_coroutine_threadsafe(task, self._loop).result(DEADLINE * 2)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass(frozen=True, slots=True)
class Scene:
    """What a test may look at and break.

    Attributes:
        loop: Where all of it runs.
        installation: The run.
        database: Between the dashboard and the database.
        door: Between the browser and the dashboard.
    """

    loop: Loop
    installation: Installation
    database: Proxy
    door: Proxy

    @property
    def address(self) -> str:
        """Where the browser finds the dashboard."""
        return f"http://{LOOPBACK}:{self.door.port}"

    def fills(self, account: str) -> list[Fill]:
        """Return the fills of an account that stand on the topic."""
        found = self.loop.run(self.installation.records("fills", Fill))
        return [fill for fill in found if fill.account == account]

    def bought(self, account: str, start: int) -> list[Any]:
        """Return what the account ordered to buy at decision times from one on."""
        return [
            order
            for orders in self.loop.run(self.installation.records("orders", Orders))
            if orders.account == account and orders.time >= start
            for order in orders.orders
            if order.side is Side.BUY
        ]

    def eventually(self, ask: Callable[[], T]) -> T:
        """Ask until there is an answer that counts."""
        deadline = time.monotonic() + DEADLINE
        while not (answer := ask()):
            assert time.monotonic() < deadline, self.installation.said()
            time.sleep(0.1)  # between two questions
        return answer

    @contextlib.contextmanager
    def without(self, way: Proxy) -> Iterator[None]:
        """Cut one of the ways; it is there again at the end, whatever a test finds."""
        self.loop.run(way.vanish())
        try:
            yield
        finally:
            self.loop.run(way.listen())


@contextlib.asynccontextmanager
async def playing(
    folder: Path, *, held: bool = True
) -> AsyncIterator[tuple[Installation, Proxy, Proxy]]:
    """Run a market, a worker and a dashboard; at the end nothing is left of them.

    Args:
        folder: Of the settings.
        held: Whether the market waits while decisions are behind.
    """
    port = free_port()
    async with (
        installed(folder) as installation,
        exchange(speed=SPEED if held else SPEED / 4) as play,
        paced(installation, play) if held else contextlib.nullcontext(),
        Proxy(installation.settings().host, installation.settings().port) as database,
        Proxy(LOOPBACK, port) as door,
    ):
        installation.serve(play)
        await installation.start()
        dashboard = await installation.start(
            *("-c", LOCKSTEP, "dashboard", "--port", str(port)),
            LOCKSTEP_DASHBOARD__PASSWORD=PASSWORD,
            LOCKSTEP_DASHBOARD__PROCESSOR="shared",  # tests leave nothing to spare
            LOCKSTEP_DATABASE__HOST=LOOPBACK,
            LOCKSTEP_DATABASE__PORT=str(database.port),
        )
        await installation.until("fills", Fill, bool)
        await asyncio.to_thread(_answers, port, dashboard)
        yield installation, database, door


def _answers(port: int, dashboard: Worker) -> None:
    deadline = time.monotonic() + DEADLINE
    while True:
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/healthz", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert dashboard.process.returncode is None, dashboard.lines
            assert time.monotonic() < deadline, dashboard.lines
            time.sleep(0.1)  # between two questions


def charts() -> bool:
    """Tell whether the chart library has been fetched."""
    return pages.charts()
