"""An account enters; what it holds and what its strategies earned leave."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.dashboard.answers import Json
from app.dashboard.history import accounts
from app.dashboard.history.performance import performance as earned
from app.dashboard.routes.parameters import Moment, Name
from app.dashboard.services import of

router = APIRouter(tags=["account"])


@router.get("/api/positions")
async def positions(request: Request, account: Name, at: Moment = None) -> Response:
    """Return an account's cash, equity and holdings."""
    async with of(request).store.view() as view:
        return Json(await accounts.positions(view, account, at))


@router.get("/api/performance")
async def performance(request: Request, account: Name) -> Response:
    """Return what each strategy and each month brought."""
    async with of(request).store.view() as view:
        return Json(await earned(view, account))
