"""What a person wants of an account enters; where the command stands leaves."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from app.core.events import Action
from app.core.events.checks import KEY
from app.dashboard.answers import Json
from app.dashboard.commanding import Instruction
from app.dashboard.guard import address
from app.dashboard.services import of

router = APIRouter(tags=["commands"])
# What is shown and logged stays on its line.
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"

Key = Annotated[str, StringConstraints(pattern=f"^{KEY.pattern}$")]


class Wanted(BaseModel):
    """What is to be done; `docs/api.md` says what each field means."""

    model_config = ConfigDict(extra="forbid")

    command_id: Key
    account: Key
    action: Action
    reason: Annotated[str, StringConstraints(max_length=500, pattern=PRINTABLE)] = "by hand"
    by: Annotated[str, StringConstraints(max_length=100, pattern=PRINTABLE)] = "dashboard"
    confirm: str | None = None


@router.post("/api/commands")
async def give(request: Request, wanted: Wanted) -> Response:
    """Append a command for an account; the same id again is the same command."""
    asked = Instruction(**wanted.model_dump(), address=address(request.scope))
    return Json(await of(request).commander.give(asked))
