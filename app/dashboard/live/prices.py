"""Trades and gaps enter as they come; each instrument's latest price and forming bar leave."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from app.core.decimals import plain
from app.core.events import Gap, Trades
from app.dashboard.live.placed import Placed

MOST_GAPS = 20
TYPES = (Trades, Gap)


@dataclass(slots=True)
class Bar:
    """The base interval [start, end) that trades are still coming for; times in milliseconds."""

    start: int
    end: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    trades: int

    def take(self, price: Decimal, quantity: Decimal) -> None:
        """Add a trade."""
        self.high, self.low, self.close = max(self.high, price), min(self.low, price), price
        self.volume += quantity
        self.trades += 1

    def document(self) -> dict[str, Any]:
        """Return it as the API gives it."""
        return {
            "time": self.start,
            "end": self.end,
            "open": plain(self.open),
            "high": plain(self.high),
            "low": plain(self.low),
            "close": plain(self.close),
            "volume": plain(self.volume),
            "trades": self.trades,
        }


@dataclass(slots=True)
class Price:
    """The latest of one instrument.

    Attributes:
        instrument: Its name.
        version: Counts the changes of all instruments; this one's last.
        last_id: Id of its last trade; what is not beyond it is a repeat, or late.
        price: Of that trade; none before any.
        time: Of that trade, milliseconds since the epoch UTC.
        at: When the broker appended it, the same.
        count: Trades since this process began to follow.
        bar: What is forming.
        gaps: Seen lately, oldest first.
    """

    instrument: str
    version: int = 0
    last_id: int = -1
    price: Decimal | None = None
    time: int = 0
    at: int = 0
    count: int = 0
    bar: Bar | None = None
    gaps: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=MOST_GAPS))

    def document(self) -> dict[str, Any]:
        """Return it as the API gives it."""
        return {
            "instrument": self.instrument,
            "price": None if self.price is None else plain(self.price),
            "time": self.time or None,
            "at": self.at or None,
            "forming": self.bar and self.bar.document(),
            "gaps": list(self.gaps),
        }


class Prices:
    """The latest price of every instrument, whoever looks.

    Args:
        interval: The base interval, milliseconds.
    """

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self.version = 0
        self.of: dict[str, Price] = {}
        self._encoded: dict[str, tuple[int, bytes]] = {}

    def take(self, message: Placed) -> None:
        """Take a record of `trades`."""
        record = message.record
        if isinstance(record, Trades):
            self._trades(record, message.at)
        elif isinstance(record, Gap):
            self._gap(record, message)

    def since(self, version: int, instruments: Collection[str] = ()) -> list[bytes]:
        """Return the JSON of each that changed after a version; of all, or of those named."""
        return [
            self._json(price)
            for price in self.of.values()
            if price.version > version and (not instruments or price.instrument in instruments)
        ]

    def _trades(self, record: Trades, at: int) -> None:
        price = self._price(record.instrument)
        new = [index for index, number in enumerate(record.id) if number > price.last_id]
        for index in new:
            _fold(
                price,
                self._interval,
                record.time[index],
                record.price[index],
                record.quantity[index],
            )
        if new:
            price.last_id, price.at = record.id[-1], at
            price.count += len(new)
            self._changed(price)

    def _gap(self, record: Gap, message: Placed) -> None:
        price = self._price(record.instrument)
        price.gaps.append(
            {
                "from": record.from_time,
                "to": record.to_time,
                "first_id": record.first_id,
                "last_id": record.last_id,
                "reason": record.reason,
                "id": message.name,
                "topic": message.place.topic,
                "partition": message.place.partition,
                "offset": message.offset,
            }
        )
        self._changed(price)

    def _price(self, instrument: str) -> Price:
        return self.of.setdefault(instrument, Price(instrument))

    def _changed(self, price: Price) -> None:
        self.version += 1
        price.version = self.version

    def _json(self, price: Price) -> bytes:
        """Return a price's JSON, made once for all who look."""
        version, encoded = self._encoded.get(price.instrument, (-1, b""))
        if version != price.version:
            encoded = orjson.dumps(price.document())
            self._encoded[price.instrument] = (price.version, encoded)
        return encoded


def _fold(price: Price, interval: int, time: int, value: Decimal, quantity: Decimal) -> None:
    """Add one trade; one that belongs to a bar that has ended counts as price only."""
    start = time // interval * interval
    bar = price.bar
    if bar is None or start > bar.start:
        price.bar = Bar(start, start + interval, value, value, value, value, quantity, 1)
    elif start == bar.start:
        bar.take(value, quantity)
    price.price, price.time = value, time
