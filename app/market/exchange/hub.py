"""Exchange time and subscriptions come in; frames for each connection go out, in event order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from app.market.exchange.frames import text_frame
from app.market.exchange.intervals import Interval
from app.market.exchange.log import Entry, raw_trades
from app.market.exchange.market import Market
from app.market.exchange.payloads import (
    aggregate_event,
    kline_event,
    shutdown_event,
    trade_event,
)
from app.market.exchange.shaping import Shaper
from app.market.exchange.stream_names import StreamName

SHUTDOWN_STREAM = "!serverShutdown"
Render = Callable[[int], str]


class Subscriber(Protocol):
    """What the hub needs of a connection."""

    combined: bool
    unit: int

    def push(self, frame: bytes) -> None:
        """Queue the bytes of one event."""


class KlineFeed:
    """One kline stream: an update every 1 or 2 s of exchange time, and every closing candle.

    Played fast, updates are thinned out to one per `gap` of real time, because only the newest
    says something new. For intervals longer than a second no closing candle is left out.
    """

    def __init__(self, market: Market, interval: Interval, now: int, gap: float) -> None:
        self.market = market
        self.interval = interval
        self._period = 1000 if interval.name == "1s" else 2000
        self._gap = gap
        self._beat = now // self._period
        self._open = interval.open_of(now)
        self._sent = 0.0

    def due(self, now: int, *, force: bool) -> list[Render]:
        """Return the events that are due at an exchange time, oldest first."""
        if self.market.status == "BREAK":
            return []
        seconds = self.interval.name == "1s"
        events = [] if seconds else self._closed(now)
        real = time.monotonic()
        if now // self._period > self._beat and (force or real - self._sent >= self._gap):
            self._beat, self._sent = now // self._period, real
            current = self.interval.open_of(now)
            events += self._event(current - 1000 if seconds else current, now)
        return events

    def _closed(self, now: int) -> list[Render]:
        events: list[Render] = []
        while (after := self.interval.next_open(self._open)) <= now:
            events += self._event(self._open, now)
            self._open = after
        return events

    def _event(self, open_time: int, now: int) -> list[Render]:
        bar = self.market.series(self.interval).at(open_time)
        if bar is None:
            return []
        return [lambda unit: kline_event(self.market.listing, self.interval, bar, now, unit)]


class Hub:
    """The subscriptions of all connections, and what is sent for them.

    On a connection every trade with `T` below an event's `E` comes before that event, whatever
    their streams and symbols; only a fault breaks that.
    """

    def __init__(self, markets: Sequence[Market], now: int, kline_gap_seconds: float) -> None:
        self.markets = {market.symbol: market for market in markets}
        self.shapers = {symbol: Shaper() for symbol in self.markets}
        self.now = now
        self._lowercase = {symbol.lower(): market for symbol, market in self.markets.items()}
        self._gap = kline_gap_seconds
        self._subscribers: dict[str, dict[Subscriber, None]] = {}
        self._feeds: dict[str, KlineFeed] = {}

    @property
    def watched(self) -> bool:
        """Whether every market's trades have a subscriber."""
        return all(
            f"{symbol}@aggTrade" in self._subscribers or f"{symbol}@trade" in self._subscribers
            for symbol in self._lowercase
        )

    def subscribe(self, subscriber: Subscriber, name: str, meaning: StreamName) -> None:
        """Deliver a stream to a connection from now on."""
        self._subscribers.setdefault(name, {})[subscriber] = None
        market = self._lowercase.get(meaning.symbol)
        if meaning.interval and market and name not in self._feeds:
            self._feeds[name] = KlineFeed(market, meaning.interval, self.now, self._gap)

    def unsubscribe(self, subscriber: Subscriber, name: str) -> None:
        """Deliver a stream to a connection no more."""
        subscribers = self._subscribers.get(name, {})
        subscribers.pop(subscriber, None)
        if not subscribers:
            self._subscribers.pop(name, None)
            self._feeds.pop(name, None)

    def advance(self, now: int, *, force: bool) -> None:
        """Send everything that is due at an exchange time: trades in time order, then candles.

        Args:
            now: the exchange time, milliseconds UTC since the epoch.
            force: send kline updates however short ago the last ones were.
        """
        self.now = now
        taken = [(market, entry) for market in self.markets.values() for entry in market.take(now)]
        taken.sort(key=lambda pair: pair[1].aggregate.time)
        for market, entry in taken:
            self._publish(market, entry)
        for name, feed in list(self._feeds.items()):
            for event in feed.due(now, force=force):
                self._send(name, event)

    def shutdown(self, connections: Sequence[Subscriber]) -> None:
        """Tell connections, subscribed or not, that the server is about to stop."""
        self._deliver(SHUTDOWN_STREAM, lambda unit: shutdown_event(self.now, unit), connections)

    def _publish(self, market: Market, entry: Entry) -> None:
        """Show an aggregate on its streams; a void one is in REST only."""
        if entry.aggregate.void:
            return
        shaper = self.shapers[market.symbol]
        for shown in shaper.shape(entry):
            seconds = shaper.delayed()
            if seconds:
                asyncio.get_running_loop().call_later(seconds, self._show, market, shown)
            else:
                self._show(market, shown)

    def _show(self, market: Market, entry: Entry) -> None:
        listing, lowercase = market.listing, market.symbol.lower()
        self._send(f"{lowercase}@aggTrade", lambda unit: aggregate_event(listing, entry, unit))
        if f"{lowercase}@trade" in self._subscribers:
            for trade in raw_trades(entry):
                self._send(
                    f"{lowercase}@trade",
                    lambda unit, trade=trade: trade_event(listing, trade, unit),  # type: ignore[misc]
                )

    def _send(self, name: str, render: Render) -> None:
        subscribers = self._subscribers.get(name)
        if subscribers:
            self._deliver(name, render, list(subscribers))

    @staticmethod
    def _deliver(name: str, render: Render, subscribers: Sequence[Subscriber]) -> None:
        """Render an event once for each form that somebody wants."""
        frames: dict[tuple[bool, int], bytes] = {}
        for subscriber in subscribers:
            form = (subscriber.combined, subscriber.unit)
            if form not in frames:
                payload = render(subscriber.unit)
                wrapped = f'{{"stream":"{name}","data":{payload}}}'
                frames[form] = text_frame(wrapped if subscriber.combined else payload)
            subscriber.push(frames[form])
