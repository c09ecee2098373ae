"""A topic enters; its partitions, its groups' lag and its records leave."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from app.core.events.checks import LARGEST_ID
from app.dashboard import topics as known
from app.dashboard.answers import Json
from app.dashboard.routes.parameters import Moment
from app.dashboard.services import of
from app.runtime.browse import Selection

router = APIRouter(tags=["topics"])


@router.get("/api/topics")
async def topics(request: Request) -> Response:
    """Return every topic and every consumer group."""
    shared = of(request)
    shared.watch.look()
    await shared.watch.first()
    return Json(known.listed(shared.watch, shared.settings.kafka.prefix))


@router.get("/api/topics/{topic}/records")
async def records(
    request: Request,
    *,
    topic: Annotated[str, Path(pattern=r"^[a-z][a-z0-9_\-]{0,99}$")],
    partition: Annotated[int | None, Query(ge=0, le=1_000)] = None,
    offset: Annotated[int | None, Query(ge=0, le=LARGEST_ID)] = None,
    time: Moment = None,
    key: Annotated[str | None, Query(min_length=1, max_length=500)] = None,
    count: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Response:
    """Return the newest records, or the first from an offset or a time on."""
    selection = Selection(topic, count, partition, offset, time, key)
    return Json(await of(request).peek.records(selection))
