"""An instrument and a window enter; its candles and what strategies made of them leave."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.dashboard.answers import Json
from app.dashboard.errors import OUT_OF_RANGE, AnswerError
from app.dashboard.history import candles as bars
from app.dashboard.history import instruments as known
from app.dashboard.history.candles import Asked
from app.dashboard.routes.parameters import From, Length, Moment, Name, Points
from app.dashboard.services import of

router = APIRouter(tags=["instrument"])


@router.get("/api/instruments")
async def instruments(request: Request) -> Response:
    """Return every instrument with its rules and its last price."""
    async with of(request).store.view() as view:
        return Json(await known.instruments(view))


@router.get("/api/candles")
async def candles(
    request: Request,
    *,
    instrument: Name,
    from_: From = None,
    to: Moment = None,
    points: Points = 1_000,
    interval: Length = None,
) -> Response:
    """Return bars that fit a screen, with the gaps and revisions among them."""
    shared = of(request)
    asked = _asked(instrument, from_, to, points, interval)
    async with shared.store.view() as view:
        return Json(await bars.candles(view, asked, shared.hours))


@router.get("/api/indicators")
async def indicators(
    request: Request,
    *,
    account: Name,
    instrument: Name,
    from_: From = None,
    to: Moment = None,
    points: Points = 1_000,
    interval: Length = None,
) -> Response:
    """Return the strategies' indicators and views at the end of each bar."""
    async with of(request).store.view() as view:
        asked = _asked(instrument, from_, to, points, interval)
        return Json(await known.indicators(view, account, asked))


def _asked(
    instrument: str, begin: int | None, end: int | None, points: int, interval: int | None
) -> Asked:
    if begin is not None and end is not None and begin >= end:
        raise AnswerError(OUT_OF_RANGE, f"from was {begin}, must be before to, {end}.")
    return Asked(instrument, begin, end, points, interval)
