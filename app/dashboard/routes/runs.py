"""A page, or a name, enters; replays and forks leave."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response

from app.dashboard.answers import Json
from app.dashboard.history import runs
from app.dashboard.history.lists import Page
from app.dashboard.routes.parameters import Before, Limit
from app.dashboard.services import of

router = APIRouter(tags=["runs"])


@router.get("/api/replays")
async def replays(request: Request, limit: Limit = 100, before: Before = None) -> Response:
    """Return the replays, backtests and verifications, newest first."""
    async with of(request).store.view() as view:
        return Json(await runs.replays(view, Page(limit, before)))


@router.get("/api/replays/{replay_id}")
async def replay(
    request: Request, replay_id: Annotated[str, Path(pattern=r"^[A-Za-z0-9_.\-]{1,100}$")]
) -> Response:
    """Return one of them, with its report and its configuration."""
    async with of(request).store.view() as view:
        return Json(await runs.replay(view, replay_id))


@router.get("/api/forks")
async def forks(request: Request) -> Response:
    """Return the forks with their steps."""
    async with of(request).store.view() as view:
        return Json(await runs.forks(view))
