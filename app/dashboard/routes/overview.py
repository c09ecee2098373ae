"""Nothing, or an account, enters; how everything is, and how its equity went, leaves."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request, Response

from app.dashboard.answers import Json
from app.dashboard.errors import AnswerError
from app.dashboard.history import accounts, lists, runs
from app.dashboard.history.equity import equity
from app.dashboard.history.lists import Page
from app.dashboard.routes.parameters import From, Moment, Name, Points
from app.dashboard.services import Services, of

router = APIRouter(tags=["overview"])
NEWEST = 20


@router.get("/api/overview")
async def overview(request: Request) -> Response:
    """Return what the first page shows; with the database away, as much as is known without."""
    shared = of(request)
    shared.watch.look()
    try:
        past = await _past(shared)
    except AnswerError as error:
        past = {
            "cursor": None,
            "accounts": accounts.unknown(shared.settings.accounts()),
            "risk_events": [],
            "commands": [],
            "proof": None,
            "problem": error.sentence,
        }
    now = round(time.time() * 1000)
    return Json({"now": now, **past, "status": shared.watch.document()})


@router.get("/api/status")
async def status(request: Request) -> Response:
    """Return how every stage, feed, broker and database is."""
    shared = of(request)
    shared.watch.look()
    return Json(shared.watch.document())


@router.get("/api/equity")
async def equity_curve(
    request: Request, account: Name, from_: From = None, to: Moment = None, points: Points = 500
) -> Response:
    """Return an account's equity and drawdown over a time."""
    async with of(request).store.view() as view:
        return Json(await equity(view, account, from_, to, points))


async def _past(shared: Services) -> dict[str, Any]:
    async with shared.store.view() as view:
        newest = Page(limit=NEWEST)
        known = await accounts.overview(view)
        names = {each["account"] for each in known}
        # Configured, and nothing of it stored yet: as on an installation's first minutes.
        new = [account for account in shared.settings.accounts() if account.name not in names]
        return {
            "cursor": view.cursor,
            "accounts": known + accounts.unknown(new),
            "risk_events": (await lists.listed(view, "risk-events", newest))["rows"],
            "commands": (await lists.listed(view, "commands", newest))["rows"],
            "proof": await runs.proof(view),
            "problem": None,
        }
