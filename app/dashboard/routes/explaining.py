"""The name of a record, or a moment, enters; what caused it, down to the trades, leaves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.dashboard.answers import Json
from app.dashboard.errors import OUT_OF_RANGE, AnswerError
from app.dashboard.history.explaining import explained, undecided
from app.dashboard.history.store import spoken
from app.dashboard.routes.parameters import Moment, NameOrNone
from app.dashboard.services import Services, of
from app.replay.explain import Moment as Asked

router = APIRouter(tags=["explain"])


@router.get("/api/explain")
async def explain(
    request: Request,
    name: Annotated[str | None, Query(max_length=500, pattern=r"^[^\x00]+$")] = None,
    at: Moment = None,
    instrument: NameOrNone = None,
    account: NameOrNone = None,
) -> Response:
    """Return why a record is as it is, or what was decided at a time and why nothing else."""
    shared = of(request)
    database = shared.store.database
    async with spoken(database):
        if name is not None and at is None:
            return Json(await explained(database, name))
        if name is None and at is not None and instrument is not None:
            moments = [Asked(at, instrument, each) for each in _whose(shared, instrument, account)]
            return Json(await undecided(database, moments))
    raise AnswerError(OUT_OF_RANGE, "give name, or at and instrument.")


def _whose(shared: Services, instrument: str, account: str | None) -> list[str]:
    """Return whose decisions are meant: those of each account that trades the instrument."""
    if account is not None:
        return [account]
    return [each.name for each in shared.settings.accounts() if instrument in each.instruments]
