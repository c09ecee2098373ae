"""Settings and a secret enter; the application that serves pages, data and commands leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.config import Settings
from app.dashboard import pages
from app.dashboard.answers import handle_errors
from app.dashboard.guard import Guard, names
from app.dashboard.routes import (
    accounts,
    commands,
    events,
    explaining,
    health,
    instruments,
    lists,
    overview,
    runs,
    session,
    topics,
)
from app.dashboard.services import running, services

ROUTERS = (
    session,
    overview,
    instruments,
    lists,
    accounts,
    explaining,
    runs,
    topics,
    commands,
    events,
    health,
)


def _nothing() -> None:
    """Do nothing."""


def application(
    settings: Settings,
    secret: str,
    *,
    linked: bool = False,
    failed: Callable[[], None] = _nothing,
) -> FastAPI:
    """Return the dashboard; it connects when it is started.

    Args:
        settings: Of the installation.
        secret: The password, or the token of the printed link.
        linked: Which of them it is.
        failed: Called when what runs in the background ends by a bug.
    """
    shared = services(settings, secret, linked=linked)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with running(shared, failed):
            yield

    made = FastAPI(
        title="Lockstep",
        version=shared.version,
        summary="What a Lockstep installation does, and three ways to stop it.",
        docs_url=None,  # these pages would load their scripts from another site
        redoc_url=None,
        lifespan=lifespan,
    )
    made.state.services = shared
    handle_errors(made)
    for module in ROUTERS:
        made.include_router(module.router)
    pages.add(made)
    dashboard = settings.dashboard
    made.add_middleware(Guard, door=shared.door, hosts=names(dashboard.host, dashboard.hosts))
    return made
