"""Orders to misbehave come in; connections, streams and answers go wrong as ordered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal

from app.market.exchange.clock import ExchangeClock
from app.market.exchange.connection import POLICY_VIOLATION, Connection, ConnectionContext
from app.market.exchange.endpoints import Endpoints
from app.market.exchange.frames import frame, text_frame
from app.market.exchange.hub import Hub
from app.market.exchange.market import Market
from app.market.exchange.rest import ForcedAnswer, Rest, banned, error_body, too_much_weight
from app.market.exchange.shaping import Shaper

Garbage = Literal["text", "utf8", "truncated"]
GOING_AWAY = 1001
_RESTRICTED = "Service unavailable from a restricted location according to 'b. Eligibility'."
_HTML = "<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"


class Faults:
    """Everything the exchange can do wrong, each at once when called.

    A symbol that isn't listed raises KeyError. A connection is given by its place among the open
    ones, oldest first; without one, all are meant.
    """

    def __init__(
        self,
        context: ConnectionContext,
        connections: Mapping[Connection, None],
        rest: Rest,
        endpoints: Endpoints,
        clock: ExchangeClock,
    ) -> None:
        self._context = context
        self._connections = connections
        self._rest = rest
        self._endpoints = endpoints
        self._clock = clock

    @property
    def _hub(self) -> Hub:
        return self._context.hub

    def _market(self, symbol: str) -> Market:
        return self._hub.markets[symbol]

    def _shaper(self, symbol: str) -> Shaper:
        return self._hub.shapers[symbol]

    def _chosen(self, connection: int | None) -> list[Connection]:
        every = list(self._connections)
        return every if connection is None else [every[connection]]

    def cut(self, connection: int | None = None) -> None:
        """End connections without a close frame."""
        for chosen in self._chosen(connection):
            chosen.cut()

    def close(
        self,
        code: int = POLICY_VIOLATION,
        reason: str = "Pong timeout",
        connection: int | None = None,
    ) -> None:
        """End connections with a close frame."""
        for chosen in self._chosen(connection):
            chosen.close(code, reason)

    def stall(self, connection: int | None = None) -> None:
        """Send no more events on connections that stay open, and answer all else; for good."""
        for chosen in self._chosen(connection):
            chosen.stalled = True

    def garbage(self, kind: Garbage = "text", connection: int | None = None) -> None:
        """Send text that isn't JSON, text that isn't UTF-8, or half a frame and then a cut."""
        for chosen in self._chosen(connection):
            if kind == "text":
                chosen.send_bytes(text_frame('{"e":"aggTrade","E":17'))
            elif kind == "utf8":
                chosen.send_bytes(frame(b'{"e":"\xff\xfe"}'))
            else:
                chosen.send_bytes(text_frame('{"e":"aggTrade"}' * 9)[:40])
                asyncio.get_running_loop().call_later(0.05, chosen.cut)

    def server_shutdown(self, close_after: float | None = None) -> None:
        """Announce the server's end to all connections, and end them after real seconds."""
        connections = list(self._connections)
        self._hub.shutdown(connections)
        if close_after is not None:
            for connection in connections:
                asyncio.get_running_loop().call_later(close_after, connection.close, GOING_AWAY)

    def skip(self, symbol: str, count: int = 1) -> None:
        """Leave the next aggregates out of the streams; REST has them."""
        self._shaper(symbol).skip += count

    def lose(self, symbol: str, count: int = 1) -> None:
        """Leave the next aggregates out of the streams and REST; their ids are used up."""
        self._market(symbol).lose(count)

    def void(self, symbol: str, count: int = 1) -> None:
        """Let void aggregates take the next ids; REST shows them, the streams don't."""
        self._market(symbol).void(count)

    def duplicate(self, symbol: str, count: int = 1) -> None:
        """Send the next aggregates twice."""
        self._shaper(symbol).repeat += count

    def reorder(self, symbol: str, count: int = 2) -> None:
        """Hold the next aggregates until there are so many, then send the newest first."""
        self._shaper(symbol).reorder = count

    def delay(self, symbol: str, count: int = 1, seconds: float = 1.0) -> None:
        """Send the next aggregates real seconds late, behind what came after them."""
        shaper = self._shaper(symbol)
        shaper.delay, shaper.delay_seconds = count, seconds

    def rest_behind(self, count: int, symbol: str | None = None) -> None:
        """Hide the newest aggregates of a symbol, or of all, from REST; 0 shows them again."""
        symbols = list(self._hub.markets) if symbol is None else [symbol]
        for name in symbols:
            self._market(name).rest_behind = count

    def rest_fail(
        self, status: int, count: int = 1, retry_after: int | None = None, *, html: bool = False
    ) -> None:
        """Answer the next requests with an HTTP error: 429, 418, 403, 451 or 5xx.

        Args:
            status: the HTTP status.
            count: how many requests.
            retry_after: the header's seconds; by default 1 for 429 and 120 for 418, else none.
            html: whether the body is a page instead of JSON.
        """
        if retry_after is None:
            retry_after = {429: 1, 418: 120}.get(status)
        if html:
            body, kind = _HTML.format(status=status), "text/html"
        else:
            body, kind = self._error(status, retry_after or 0), "application/json"
        self._rest.forced += [ForcedAnswer(status, body, kind, retry_after)] * count

    def _error(self, status: int, retry_after: int) -> str:
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            limit = self._context.settings.weight_per_minute
            return error_body(-1003, too_much_weight(limit)).decode()
        if status == HTTPStatus.IM_A_TEAPOT:
            return error_body(-1003, banned(self._clock.now + retry_after * 1000)).decode()
        if status == HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS:
            return error_body(0, _RESTRICTED).decode()
        return error_body(-1001, "Internal error; unable to process your request.").decode()

    def nested_errors(self, *, on: bool = True) -> None:
        """Send error frames in the nested form that production has sent."""
        self._context.nested_errors = on

    def set_status(self, symbol: str, status: str = "BREAK") -> None:
        """Change a symbol's status; nothing is traded, and no id used, unless it is TRADING."""
        self._market(symbol).status = status

    def empty_exchange_info(self, *, on: bool = True) -> None:
        """List no symbols in `exchangeInfo`."""
        self._endpoints.empty = on
