"""A password or a link's token enters; a session in a cookie leaves."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from app.dashboard.access import COOKIE, SESSION_SECONDS
from app.dashboard.answers import Json
from app.dashboard.errors import REFUSED, AnswerError
from app.dashboard.guard import address
from app.dashboard.pages import charts, shell
from app.dashboard.services import Services, of

router = APIRouter(tags=["session"])
NO_CONTENT = 204
SEE_OTHER = 303


class Shown(BaseModel):
    """What is shown at the door."""

    model_config = ConfigDict(extra="forbid")

    password: Annotated[str, Field(max_length=1_000)]


@router.get("/api/session")
async def session(request: Request) -> Response:
    """Return whether one is signed in, and if so what the pages need to begin."""
    shared = of(request)
    known = shared.door.knows(request.cookies.get(COOKIE, ""))
    told = {"authenticated": known, "link": shared.linked, "charts": charts()}
    return Json(told | (_installation(shared) if known else {}))


@router.get("/login", include_in_schema=False)
async def link(
    request: Request, token: Annotated[str | None, Query(max_length=1_000)] = None
) -> Response:
    """Take the token of the printed link for a session, or show the page that asks."""
    if token is None:
        return shell()
    name = of(request).door.open(token, address(request.scope))
    answer = RedirectResponse("/" if name else "/login?refused=1", SEE_OTHER)
    if name:
        _give(request, answer, name)
    return answer


@router.post("/login", status_code=NO_CONTENT)
async def login(request: Request, shown: Shown) -> Response:
    """Take a password, or the link's token, for a session."""
    name = of(request).door.open(shown.password, address(request.scope))
    if name is None:
        raise AnswerError(REFUSED, "that is not the password.")
    answer = Response(status_code=NO_CONTENT)
    _give(request, answer, name)
    return answer


@router.post("/logout", status_code=NO_CONTENT)
async def logout(request: Request) -> Response:
    """Forget the session."""
    of(request).door.forget(request.cookies.get(COOKIE, ""))
    answer = Response(status_code=NO_CONTENT)
    answer.delete_cookie(COOKIE, path="/")
    return answer


def _give(request: Request, answer: Response, name: str) -> None:
    answer.set_cookie(
        COOKIE,
        name,
        max_age=SESSION_SECONDS,
        path="/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    answer.headers["Cache-Control"] = "no-store"


def _installation(shared: Services) -> dict[str, object]:
    settings = shared.settings
    accounts = settings.accounts()
    return {
        "version": shared.version,
        "now": round(time.time() * 1000),
        "run": settings.worker.run,
        "prefix": settings.kafka.prefix,
        "schema": settings.database.schema_,
        "interval": settings.interval,
        "kafka_ui": settings.dashboard.kafka_ui,
        "accounts": [account.name for account in accounts],
        "instruments": list(dict.fromkeys(n for each in accounts for n in each.instruments)),
    }
