"""Nothing enters; whether this lives, is of use, and what it counts leave."""

from __future__ import annotations

import time

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from app.dashboard.answers import Json
from app.dashboard.errors import AWAY
from app.dashboard.metrics import Collector
from app.dashboard.services import Services, of

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> Response:
    """Return that the process answers."""
    return Json({"alive": True})


@router.get("/readyz")
async def ready(request: Request) -> Response:
    """Return whether broker and database answer and the newest trades are fresh."""
    shared = of(request)
    shared.watch.look()
    problems = _problems(shared)
    return Json({"ready": not problems, "problems": problems}, AWAY if problems else 200)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Return what Prometheus collects."""
    shared = of(request)
    collector = await Collector.gather(shared)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _problems(shared: Services) -> list[str]:
    """Return what is wrong, in sentences that tell no name and no address."""
    health = shared.watch.health()
    found = []
    if not health["broker"]["well"]:
        found.append("the broker does not answer.")
    if health["database"]["well"] is False:
        found.append("the database does not answer.")
    last = shared.live.follower.last_of_topic.get("trades")
    limit = shared.settings.dashboard.fresh_within
    if last is None or time.time() - last / 1000 > limit:
        found.append(f"no trades came within {limit:g} s.")
    return found
