"""A place to go on from enters; the stream of what happens leaves, for as long as it is taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.types import Receive, Scope, Send

from app.dashboard.errors import AWAY, AnswerError
from app.dashboard.live.viewer import Choice, Viewer
from app.dashboard.services import Services, of

router = APIRouter(tags=["live"])
PATIENCE = 10.0
CATCHING_UP = 5.0
HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}
STREAM: dict[str, Any] = {
    "description": "Server-sent events.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
Names = Annotated[str, Query(max_length=2_000, description="Names with commas between.")]
Cursor = Annotated[str | None, Query(alias="from", max_length=8_000)]


class EventStream(Response):
    """A stream that ends when its taker is gone, or takes nothing for a while."""

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(headers=HEADERS)
        del self.headers["content-length"]
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the taker goes."""
        del scope
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        sending = asyncio.create_task(self._send(send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait((sending, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, gone):
                task.cancel()
            await asyncio.wait((sending, gone))
        if not sending.cancelled() and (error := sending.exception()) is not None:
            raise error

    async def _send(self, send: Send) -> None:
        async with aclosing(self._events) as events:
            async for chunk in events:
                try:
                    async with asyncio.timeout(PATIENCE):
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
                except TimeoutError:
                    return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@router.get("/api/events", response_class=Response, responses={200: STREAM})
async def events(
    request: Request,
    from_: Cursor = None,
    instruments: Names = "",
    accounts: Names = "",
    last_event_id: Annotated[str | None, Header(max_length=8_000)] = None,
) -> Response:
    """Stream records, prices and status as server-sent events; docs/api.md says which."""
    shared = of(request)
    if shared.watch.viewers >= shared.settings.dashboard.viewers:
        raise AnswerError(AWAY, "there are as many viewers as dashboard.viewers allows.", wait=5)
    await _caught_up(shared)
    place = last_event_id or from_
    start = shared.live.cursors.read(place) if place else None
    choice = Choice(_names(accounts), _names(instruments))
    lost = place is not None and start is None
    viewer = Viewer(shared.live, shared.watch, choice, start, shared.version, lost)
    shared.watch.look()
    return EventStream(viewer.events())


async def _caught_up(shared: Services) -> None:
    """Wait a little for the first reading, or whoever comes back would be told to begin anew."""
    try:
        async with asyncio.timeout(CATCHING_UP):
            await shared.live.follower.caught_up.wait()
    except TimeoutError as error:
        problem = shared.live.follower.problem or "the topics are still being read: try again."
        raise AnswerError(AWAY, problem, "broker", 1) from error


def _names(text: str) -> frozenset[str]:
    return frozenset(name for name in text.split(",") if name)
