"""Marks at decision times enter; what buying once and holding would be worth leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

BASIS_POINTS = 10_000.0


class BuyAndHold:
    """Equal parts of the capital in each instrument from its first price on.

    Each part buys at the mark of the first decision time that has one, usually the first, and
    pays the account's taker fee once, out of the part; no slippage, no lot sizes, nothing is sold
    at the end. Until then it is cash. The quantity is part / (price * (1 + fee)). It is a
    yardstick, not a book: floats.

    Attributes:
        instruments: What is held.
        fee: Basis points of the notional.
    """

    def __init__(self, capital: float, instruments: Sequence[str], fee: float) -> None:
        self.instruments = tuple(instruments)
        self.fee = fee
        self._part = capital / len(self.instruments)
        self._units: dict[str, float] = {}

    def value(self, prices: Mapping[str, float]) -> float:
        """Return the worth at the last known marks, quote currency; buy what has a first one."""
        worth = 0.0
        for instrument in self.instruments:
            if instrument in prices:
                worth += self._held(instrument, prices[instrument]) * prices[instrument]
            else:
                worth += self._part
        return worth

    def _held(self, instrument: str, price: float) -> float:
        if instrument not in self._units:
            self._units[instrument] = self._part / (price * (1.0 + self.fee / BASIS_POINTS))
        return self._units[instrument]
