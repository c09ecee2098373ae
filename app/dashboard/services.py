"""Settings and a secret enter; all that routes need, started and stopped together, leaves."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import structlog
from fastapi import Request

from app.config import Settings
from app.dashboard.access import Door
from app.dashboard.alerts.alarm import Alarm
from app.dashboard.commanding import Commander
from app.dashboard.history.bars import BASE
from app.dashboard.history.candles import QUERIES
from app.dashboard.history.hours import Hours
from app.dashboard.history.store import Store
from app.dashboard.live.sight import Live, sight
from app.dashboard.topics import Peek
from app.dashboard.warming import warm
from app.dashboard.watch import Watch
from app.storage.database import Database

log = structlog.get_logger()

RETRY_FOR = 2.0
STATEMENT_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes share.

    Attributes:
        settings: Of the installation.
        door: Who may come in.
        linked: Whether the way in is the printed link.
        live: What is followed.
        watch: How everything is.
        store: The tables.
        peek: Records on topics.
        commander: Gives commands.
        alarm: Tells people.
        hours: Bars of hours, where the tables keep none.
        version: Of this program.
    """

    settings: Settings
    door: Door
    linked: bool
    live: Live
    watch: Watch
    store: Store
    peek: Peek
    commander: Commander
    alarm: Alarm
    hours: Hours
    version: str


def services(settings: Settings, secret: str, *, linked: bool) -> Services:
    """Return what the routes share; nothing is connected yet.

    Args:
        settings: Of the installation.
        secret: The password, or the link's token.
        linked: Which of them it is.
    """
    storage = settings.database.storage()
    # A person waits for the answer and can ask again: no question may hold a connection for long.
    patient = dataclasses.replace(
        storage,
        retry_for=min(RETRY_FOR, storage.retry_for),
        statement_timeout=min(STATEMENT_TIMEOUT, storage.statement_timeout),
    )
    live = sight(settings.kafka, settings.interval)
    watch = Watch(settings.kafka, storage, live)
    store = Store(Database(patient), live.cursors)
    return Services(
        settings=settings,
        door=Door(secret),
        linked=linked,
        live=live,
        watch=watch,
        store=store,
        peek=Peek(settings.kafka),
        commander=Commander(settings.kafka, [account.name for account in settings.accounts()]),
        alarm=Alarm(settings, live, watch, store),
        hours=Hours(QUERIES[BASE]),
        version=_version(),
    )


@asynccontextmanager
async def running(shared: Services, failed: Callable[[], None]) -> AsyncIterator[None]:
    """Follow and watch while the block runs.

    Args:
        shared: What the routes share.
        failed: Called when following or watching ends by a bug.
    """
    async with AsyncExitStack() as stack:
        stack.push_async_callback(shared.store.database.close)
        stack.push_async_callback(shared.commander.close)
        live = shared.live
        names = [name for each in shared.settings.accounts() for name in each.instruments]
        works = (
            live.follower.run(),
            live.pulse.run(),
            shared.watch.run(),
            shared.alarm.run(),
            warm(shared.store, names, shared.hours),
        )
        for work in works:
            task = asyncio.create_task(work)
            task.add_done_callback(lambda done: _look(done, failed))
            stack.push_async_callback(_end, task)
        stack.callback(live.bus.close)
        stack.callback(live.pulse.close)
        yield


def of(request: Request) -> Services:
    """Return what the routes share."""
    shared: Services = request.app.state.services
    return shared


def _look(done: asyncio.Task[None], failed: Callable[[], None]) -> None:
    if not done.cancelled() and done.exception() is not None:
        log.critical("the dashboard ends: this is a bug", exc_info=done.exception())
        failed()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _version() -> str:
    try:
        return version("lockstep")
    except PackageNotFoundError:
        return "unknown"
