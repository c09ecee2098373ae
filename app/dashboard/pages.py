"""A path enters; a file of the pages leaves, never one from elsewhere."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Response
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.dashboard.errors import MISSING

FOLDER = Path(__file__).parent / "web"
SHELLS = ("/", "/about", "/explain")
TREES = ("instruments", "accounts", "runs", "topics")
LIBRARY = "vendor/lightweight-charts.js"
NO_CACHE = {"Cache-Control": "no-cache"}
ABSENT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Lockstep</title>
<p>The pages are not installed. The API is there: see <code>/openapi.json</code>.</p></html>"""


class _Files(StaticFiles):
    """The files of the pages; a browser asks each time whether one has changed."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file's response."""
        answer = await super().get_response(path, scope)
        answer.headers.update(NO_CACHE)
        return answer


def add(application: FastAPI) -> None:
    """Let an application serve the pages."""
    for path in SHELLS:
        application.add_api_route(path, shell, include_in_schema=False)
    for tree in TREES:
        application.add_api_route(f"/{tree}", shell, include_in_schema=False)
        application.add_api_route(f"/{tree}/{{rest:path}}", shell, include_in_schema=False)
    application.add_api_route("/favicon.ico", icon, include_in_schema=False)
    application.mount("/static", _Files(directory=FOLDER, check_dir=False), name="static")


def shell() -> Response:
    """Return the one page that all others are made in."""
    page = FOLDER / "index.html"
    if page.is_file():
        return FileResponse(page, headers=NO_CACHE, media_type="text/html; charset=utf-8")
    return HTMLResponse(ABSENT, headers=NO_CACHE)


def icon() -> Response:
    """Return the picture in a browser's tab."""
    picture = FOLDER / "favicon.svg"
    if picture.is_file():
        return FileResponse(picture, headers=NO_CACHE, media_type="image/svg+xml")
    return PlainTextResponse("", MISSING)


def charts() -> bool:
    """Tell whether the chart library is installed."""
    return (FOLDER / LIBRARY).is_file()
