"""What all instruments of a feed share enters each of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from app.core.events import Record
from app.market.binance.rest import Rest
from app.market.state import FeedState
from app.market.tape import TapeSettings
from app.market.timing import TimeSource

Publish = Callable[[str, list[Record], FeedState], Awaitable[None]]


class Subscriptions(Protocol):
    """What an instrument needs of the stream."""

    def subscribe(self, symbol: str) -> None:
        """Want a symbol."""

    def unsubscribe(self, symbol: str) -> None:
        """Want a symbol no more."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all instruments of a feed share.

    Attributes:
        rest: The exchange's REST.
        stream: The exchange's stream.
        publish: Appends records and stores the state after them.
        times: The newest exchange time of every open connection.
        tape: How trades become records.
        time: The clock.
        chance: Numbers from 0 to 1 that spread retries.
        flush_after: Milliseconds between sendings of trades; what closes a candle goes at once.
        history_count: Candles to warm up on.
        start_time: Join as of this time, milliseconds since the epoch UTC; none: now.
        retry_pause: Seconds between attempts to join.
        status_pause: Seconds between attempts to join what the exchange doesn't list.
    """

    rest: Rest
    stream: Subscriptions
    publish: Publish
    times: Mapping[int, int]
    tape: TapeSettings
    time: TimeSource
    chance: Callable[[], float]
    flush_after: int
    history_count: int
    start_time: int | None
    retry_pause: float
    status_pause: float
