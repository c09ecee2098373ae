"""Documents and errors enter; responses leave, all of them JSON in one form."""

from __future__ import annotations

from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.dashboard.access import TooManyTriesError
from app.dashboard.errors import OUT_OF_RANGE, TOO_MANY, AnswerError

log = structlog.get_logger()

BUG = 500


class Json(Response):
    """A document as JSON; nobody may keep it."""

    media_type = "application/json"

    def __init__(
        self, document: Any, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(
            orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS),
            status,
            {"Cache-Control": "no-store"} | (headers or {}),
        )


def refusal(error: AnswerError) -> Json:
    """Return the response that an error is."""
    headers = {"Retry-After": str(error.wait)} if error.wait else {}
    return Json({"error": error.sentence, "part": error.part}, error.status, headers)


def too_many(error: TooManyTriesError) -> AnswerError:
    """Return the answer to who has shown too many wrong secrets."""
    return AnswerError(
        TOO_MANY,
        f"too many wrong passwords or tokens: try again in {error.seconds} s.",
        wait=error.seconds,
    )


def handle_errors(application: FastAPI) -> None:
    """Let every error leave as a sentence."""

    async def ours(_: Request, error: Exception) -> Response:
        return refusal(error) if isinstance(error, AnswerError) else _bug(error)

    async def tries(_: Request, error: Exception) -> Response:
        return refusal(too_many(error)) if isinstance(error, TooManyTriesError) else _bug(error)

    async def invalid(_: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):
            return _bug(error)
        return refusal(AnswerError(OUT_OF_RANGE, _sentence(error)))

    async def general(_: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return _bug(error)
        return refusal(AnswerError(error.status_code, f"{error.detail}."))

    async def bug(_: Request, error: Exception) -> Response:
        return _bug(error)

    application.add_exception_handler(AnswerError, ours)
    application.add_exception_handler(TooManyTriesError, tries)
    application.add_exception_handler(RequestValidationError, invalid)
    application.add_exception_handler(HTTPException, general)
    application.add_exception_handler(Exception, bug)


def _bug(error: Exception) -> Json:
    log.error("a request failed: this is a bug", exc_info=error)
    sentence = "this is a bug of the dashboard; its log has more."
    return refusal(AnswerError(BUG, sentence))


def _sentence(error: RequestValidationError) -> str:
    """Return the first thing that was wrong; what was sent is not repeated."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"][1:]) or "the body"
    return f"{name}: {first['msg'].removeprefix('Value error, ')}."
