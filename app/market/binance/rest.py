"""Questions about a symbol enter, Binance's REST answers leave, within the exchange's limits."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
import structlog

from app.errors import UnreachableError
from app.market.binance.answers import (
    Kline,
    SymbolInfo,
    parse_aggregates,
    parse_klines,
    parse_server_time,
    parse_symbol,
)
from app.market.binance.fields import ProtocolError
from app.market.binance.limits import Backoff, WeightBudget
from app.market.binance.protocol import parse_error
from app.market.binance.settings import RestSettings, is_loopback
from app.market.dumps import Aggregate
from app.market.timing import SystemTime, TimeSource

log = structlog.get_logger()

PAGE = 1_000
OK = 200
FORBIDDEN, BANNED, RATE_LIMITED, RESTRICTED = 403, 418, 429, 451
SERVER_ERROR = 500
INVALID_SYMBOL = -1121
# Unknown, internal, unexpected, timed out, overloaded, shutting down: the exchange says retry.
TRANSIENT_CODES = frozenset((-1000, -1001, -1006, -1007, -1008, -1016))
DEFAULT_STOP = {RATE_LIMITED: 60.0, BANNED: 120.0}
USED_WEIGHT = "X-MBX-USED-WEIGHT-1M"
_BANNED_UNTIL = re.compile(r"banned until (\d{13})")

Parsed = TypeVar("Parsed")
Parameters = Mapping[str, str]


class RestError(UnreachableError):
    """A request failed for good; the sentence says why and what to do."""


class UnknownSymbolError(RestError):
    """The exchange has no such symbol."""


class _TransientError(Exception):
    """A request failed in a way that may pass."""


class Rest:
    """Binance's public REST, as an asynchronous context manager.

    Every request waits for its weight, and for the end of a stop that the exchange has asked
    for (429, 418); what may pass is tried again with growing pauses.

    Args:
        address: For example https://api.binance.com.
        settings: Limits and timeouts.
        time: The clock to wait by.
        chance: Numbers from 0 to 1 that keep clients from retrying in step.
    """

    def __init__(
        self,
        address: str,
        settings: RestSettings | None = None,
        *,
        time: TimeSource | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.address = address.rstrip("/")
        self.settings = settings or RestSettings()
        self._time = time or SystemTime()
        self._chance = chance
        self.budget = WeightBudget(self._share(self.settings.weight_limit), self._time)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self.settings.timeout),
            trust_env=not is_loopback(self.address),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def server_time(self) -> int:
        """Return the exchange's time, milliseconds since the epoch UTC; raises RestError."""
        return await self._get("/api/v3/time", 1, {}, parse_server_time)

    async def symbol(self, symbol: str) -> SymbolInfo:
        """Return what the exchange says of a symbol; raises RestError, UnknownSymbolError."""
        info = await self._get(
            "/api/v3/exchangeInfo",
            20,
            {"symbol": symbol},
            lambda payload: parse_symbol(payload, symbol),
        )
        if info.weight_limit is not None:
            self.budget.limit = self._share(info.weight_limit)
        return info

    async def aggregates(
        self,
        symbol: str,
        *,
        from_id: int | None = None,
        start_time: int | None = None,
        limit: int = PAGE,
    ) -> list[Aggregate]:
        """Return trades ascending by id, void ones too.

        Args:
            symbol: Uppercase, as the exchange writes it.
            from_id: The oldest from this id on; not together with a time.
            start_time: The oldest from this time on, milliseconds since the epoch UTC.
                With neither, the newest.
            limit: How many at most, up to 1,000.

        Raises:
            RestError: The request failed.
        """
        parameters = {"symbol": symbol, "limit": str(limit)}
        if from_id is not None:
            parameters["fromId"] = str(from_id)
        elif start_time is not None:
            parameters["startTime"] = str(start_time)
        return await self._get("/api/v3/aggTrades", 4, parameters, parse_aggregates)

    async def klines(self, symbol: str, interval: str, start: int, end: int) -> list[Kline]:
        """Return up to 1,000 candles that open from `start` to `end`, milliseconds, ascending.

        Raises:
            RestError: The request failed.
        """
        parameters = {
            "symbol": symbol,
            "interval": interval,
            "startTime": str(start),
            "endTime": str(end),
            "limit": str(PAGE),
        }
        return await self._get("/api/v3/klines", 2, parameters, parse_klines)

    def _share(self, limit: int) -> int:
        return max(1, int(limit * self.settings.weight_share))

    async def _get(
        self, path: str, weight: int, parameters: Parameters, parse: Callable[[bytes], Parsed]
    ) -> Parsed:
        backoff = Backoff(self.settings.backoff_first, self.settings.backoff_most, self._chance)
        failures = 0
        while True:
            await self.budget.reserve(weight)
            try:
                body = await self._ask(path, parameters)
                if body is not None:
                    return parse(body)
            except (_TransientError, ProtocolError) as error:
                failures += 1
                if failures >= self.settings.attempts:
                    raise RestError(
                        f"{self.address}{path} failed {failures} times, last because {error}; "
                        "check the network and the exchange's status page"
                    ) from error
                await self._time.sleep(backoff.pause())

    async def _ask(self, path: str, parameters: Parameters) -> bytes | None:
        """Return the body of an answer; none where the exchange asked to stop for a while."""
        if self._session is None:
            raise RuntimeError("Rest was used outside of its `async with` block")
        try:
            async with self._session.get(self.address + path, params=parameters) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise _TransientError(f"{error or type(error).__name__}") from error
        used = response.headers.get(USED_WEIGHT, "")
        if used.isascii() and used.isdigit():
            self.budget.report(int(used[:18]))
        if response.status == OK:
            return body
        if response.status in DEFAULT_STOP:
            self._stop(response.status, response.headers.get("Retry-After", ""), body)
            return None
        raise self._refusal(response.status, path, parameters, body)

    def _stop(self, status: int, retry_after: str, body: bytes) -> None:
        digits = retry_after.isascii() and retry_after.isdigit()
        seconds = float(retry_after[:9]) if digits else DEFAULT_STOP[status]
        error = parse_error(body)
        until = _BANNED_UNTIL.search(error.message) if error else None
        if until and not digits:
            seconds = int(until[1]) / 1000 - self._time.wall()
        # Never 0: that would be a request in the very moment we were told to stop.
        self.budget.block(max(seconds, 1.0))
        log.warning("the exchange asked to stop", status=status, seconds=seconds)

    def _refusal(self, status: int, path: str, parameters: Parameters, body: bytes) -> Exception:
        error = parse_error(body)
        if error is not None and error.code == INVALID_SYMBOL:
            return UnknownSymbolError(
                f"{self.address} has no symbol {parameters.get('symbol')}; check its spelling "
                "in the instruments of the configuration"
            )
        if status >= SERVER_ERROR or (error is not None and error.code in TRANSIENT_CODES):
            return _TransientError(f"the answer was {status}")
        if status in (FORBIDDEN, RESTRICTED) or error is None:
            return RestError(
                f"{self.address} refused to serve this machine ({status}), perhaps because of "
                "where it is; use the venue binance.com-data or binance.us, or another network"
            )
        return RestError(
            f"{self.address}{path} refused the request with {error.code}, {error.message!r}; "
            "check that the address is that of a Binance spot service"
        )
