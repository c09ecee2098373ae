"""Whose rows are wanted enters; pages of signals, orders, fills and what else there is leave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.dashboard.answers import Json
from app.dashboard.errors import OUT_OF_RANGE, AnswerError
from app.dashboard.history import lists
from app.dashboard.history.letters import letters
from app.dashboard.history.lists import Page
from app.dashboard.routes.parameters import Before, From, Limit, Moment, NameOrNone
from app.dashboard.services import of

router = APIRouter(tags=["lists"])
KINDS = ("refusal", "halted", "resumed")


def _route(name: str) -> Callable[..., Awaitable[Response]]:
    async def rows(
        request: Request,
        *,
        account: NameOrNone = None,
        instrument: NameOrNone = None,
        strategy: NameOrNone = None,
        from_: From = None,
        to: Moment = None,
        limit: Limit = 100,
        before: Before = None,
        kind: Annotated[str | None, Query(max_length=100)] = None,
        open_: Annotated[bool, Query(alias="open")] = False,
        changes: bool = False,
    ) -> Response:
        """Return a page, newest first; what a list has no column for chooses nothing."""
        chosen = {
            "account": account,
            "instrument": instrument,
            "strategy": strategy,
            "kind": _kinds(kind),
            "open": open_,
            "changes": changes,
        }
        async with of(request).store.view() as view:
            return Json(await lists.listed(view, name, Page(limit, before, from_, to, chosen)))

    return rows


for _name in lists.LISTS:
    router.add_api_route(f"/api/{_name}", _route(_name), name=_name)


@router.get("/api/dead-letters")
async def dead_letters(request: Request, limit: Limit = 100, before: Before = None) -> Response:
    """Return the newest bytes that could not be processed, and why."""
    async with of(request).store.view() as view:
        return Json(await letters(view, Page(limit, before)))


def _kinds(text: str | None) -> list[str] | None:
    if text is None:
        return None
    kinds = text.split(",")
    if not set(kinds) <= set(KINDS):
        raise AnswerError(OUT_OF_RANGE, f"kind must be some of {', '.join(KINDS)}.")
    return kinds
