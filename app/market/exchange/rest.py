"""HTTP requests come in; answers with weights, limits and faults applied go out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import orjson
from aiohttp import web

from app.market.exchange.clock import ExchangeClock
from app.market.exchange.endpoints import Endpoints
from app.market.exchange.limits import Limits, Verdict
from app.market.exchange.parameters import ApiError, Parameters
from app.market.exchange.payloads import MICROSECOND, MILLISECOND

_TOO_MUCH_WEIGHT = -1003


@dataclass(frozen=True, slots=True)
class ForcedAnswer:
    """An answer given in place of the true one.

    Attributes:
        status: its HTTP status.
        body: its text.
        content_type: such as application/json or text/html.
        retry_after: seconds for the header of that name, None for no header.
    """

    status: int
    body: str
    content_type: str
    retry_after: int | None


class Rest:
    """The REST side of the exchange.

    Attributes:
        forced: answers that the next requests get, first come first served.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        limits: Limits,
        clock: ExchangeClock,
        advance: Callable[[], object],
        weight_per_minute: int,
    ) -> None:
        self.forced: list[ForcedAnswer] = []
        self._weight_per_minute = weight_per_minute
        self._endpoints = endpoints
        self._limits = limits
        self._clock = clock
        self._advance = advance

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a GET of `/api/v3/{name}`."""
        endpoint = self._endpoints.table.get(request.match_info["name"])
        if endpoint is None:
            raise web.HTTPNotFound
        self._advance()
        verdict = self._limits.request(request.remote or "", endpoint.weight)
        used = str(verdict.used_weight)
        headers = {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}
        if self.forced:
            return _forced(self.forced.pop(0), headers)
        try:
            self._check(verdict)
            parameters = Parameters(request.query, endpoint.parameters)
            answer = endpoint.answer(parameters, _unit(request))
        except ApiError as error:
            return _refused(error, headers)
        return _json(orjson.dumps(answer), HTTPStatus.OK, headers)

    def _check(self, verdict: Verdict) -> None:
        status, seconds = verdict.status, verdict.retry_after
        if status is HTTPStatus.TOO_MANY_REQUESTS:
            raise ApiError(
                _TOO_MUCH_WEIGHT, too_much_weight(self._weight_per_minute), status, seconds
            )
        if status is HTTPStatus.IM_A_TEAPOT:
            until = self._clock.now + round(seconds * 1000 * self._clock.speed)
            raise ApiError(_TOO_MUCH_WEIGHT, banned(until), status, seconds)


def too_much_weight(limit: int) -> str:
    """Return the text of a 429."""
    return (
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )


def banned(until: int) -> str:
    """Return the text of a 418; the time is the exchange's, milliseconds since the epoch."""
    return (
        f"Way too much request weight used; IP banned until {until}. "
        "Please use WebSocket Streams for live updates to avoid bans."
    )


def error_body(code: int, message: str) -> bytes:
    """Render an error as the exchange does."""
    return orjson.dumps({"code": code, "msg": message})


def _unit(request: web.Request) -> int:
    unit = request.headers.get("X-MBX-TIME-UNIT", "")
    return MICROSECOND if unit.upper() == "MICROSECOND" else MILLISECOND


def _json(body: bytes, status: HTTPStatus, headers: dict[str, str]) -> web.Response:
    return web.Response(
        body=body, status=status, headers=headers, content_type="application/json", charset="utf-8"
    )


def _refused(error: ApiError, headers: dict[str, str]) -> web.Response:
    wait = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
    return _json(error_body(error.code, error.message), error.status, headers | wait)


def _forced(answer: ForcedAnswer, headers: dict[str, str]) -> web.Response:
    wait = {} if answer.retry_after is None else {"Retry-After": str(answer.retry_after)}
    return web.Response(
        text=answer.body,
        status=answer.status,
        headers=headers | wait,
        content_type=answer.content_type,
    )
