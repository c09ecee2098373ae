"""Fills of one instrument enter; columns of what a chart shows of them leave."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from app.core.events import Fill, Side
from app.core.metrics import arrays


@dataclass(slots=True)
class FillMarks:
    """Fills to be drawn, 25 bytes each, in the order of the books.

    Attributes:
        time: Milliseconds since the epoch UTC.
        price: Quote currency.
        quantity: Base asset.
        buy: 1 for a purchase, 0 for a sale.
    """

    time: array[int] = field(default_factory=arrays.times)
    price: array[float] = field(default_factory=arrays.floats)
    quantity: array[float] = field(default_factory=arrays.floats)
    buy: bytearray = field(default_factory=bytearray)

    def take(self, fill: Fill) -> None:
        """Take the next fill."""
        self.time.append(fill.time)
        self.price.append(float(fill.price))
        self.quantity.append(float(fill.quantity))
        self.buy.append(fill.side is Side.BUY)
