"""Requests of an address come in; whether they are served, and the weight used, goes out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from app.market.exchange.settings import ExchangeSettings

MINUTE_SECONDS = 60.0


@dataclass(slots=True)
class _Window:
    """A count that begins anew in each fixed window of real time."""

    width: float
    number: int = -1
    count: int = 0

    def add(self, amount: int, now: float) -> int:
        if int(now // self.width) != self.number:
            self.number, self.count = int(now // self.width), 0
        self.count += amount
        return self.count

    def left(self, now: float) -> float:
        return self.width - now % self.width


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a request.

    Attributes:
        status: 200, 429 or 418.
        used_weight: the address's weight in this minute.
        retry_after: whole real seconds to wait, if it is refused.
    """

    status: HTTPStatus
    used_weight: int
    retry_after: int = 0


class _Address:
    def __init__(self, settings: ExchangeSettings) -> None:
        self.weight = _Window(MINUTE_SECONDS)
        self.refusals = _Window(MINUTE_SECONDS)
        self.requests = _Window(settings.request_window_seconds)
        self.connections = _Window(settings.connection_window_seconds)
        self.bans = 0
        self.banned_until = 0.0


class Limits:
    """The limits per address: weight, requests, connections, and bans for ignoring them.

    Args:
        settings: the exchange's numbers.
        now: real seconds since the epoch, because the windows are fixed minutes.
    """

    def __init__(self, settings: ExchangeSettings, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._now = now
        self._addresses: dict[str, _Address] = {}

    def request(self, address: str, weight: int) -> Verdict:
        """Count a REST request and decide on it."""
        state, now = self._address(address), self._now()
        requests = state.requests.add(1, now)
        used = state.weight.add(weight, now)
        if now < state.banned_until:
            return Verdict(HTTPStatus.IM_A_TEAPOT, used, _whole(state.banned_until - now))
        if used > self._settings.weight_per_minute:
            return self._refuse(state, now, state.weight.left(now))
        if requests > self._settings.requests_per_window:
            return self._refuse(state, now, state.requests.left(now))
        return Verdict(HTTPStatus.OK, used)

    def connection(self, address: str) -> bool:
        """Count a new connection and tell whether it is allowed."""
        opened = self._address(address).connections.add(1, self._now())
        return opened <= self._settings.connections_per_window

    def _refuse(self, state: _Address, now: float, wait: float) -> Verdict:
        if state.refusals.add(1, now) <= self._settings.bans_after:
            return Verdict(HTTPStatus.TOO_MANY_REQUESTS, state.weight.count, _whole(wait))
        longest = self._settings.longest_ban_seconds
        ban = min(self._settings.ban_seconds * 2.0**state.bans, longest)
        state.bans += 1
        state.banned_until = now + ban
        return Verdict(HTTPStatus.IM_A_TEAPOT, state.weight.count, _whole(ban))

    def _address(self, address: str) -> _Address:
        return self._addresses.setdefault(address, _Address(self._settings))


def _whole(seconds: float) -> int:
    return int(seconds) + 1
