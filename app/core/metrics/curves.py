"""An account's book and marks at each decision time enter; its curves leave as float arrays."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from app.core.decimals import ZERO, subtract, total
from app.core.events import Holding
from app.core.metrics import arrays


@dataclass(slots=True)
class Line:
    """What a strategy, or an instrument, made by each decision time.

    Attributes:
        profit: Since the run's first decision time, quote currency, by decision time.
        invested: Decision times at which it had an open position.
        positions: Its own.
    """

    profit: array[float]
    invested: int = 0
    positions: list[Position] = field(default_factory=list)

    def add(self) -> None:
        """Take a decision time at which the positions know their profit."""
        profit, opened = 0.0, False
        for position in self.positions:
            profit += position.profit
            opened = opened or position.quantity != 0
        self.profit.append(profit)
        self.invested += opened


@dataclass(slots=True)
class Position:
    """One holding as floats: its profit at a price is `base + quantity * price`.

    Attributes:
        profit: At the last decision time.
        invested: Decision times at which it was open.
    """

    strategy: str
    instrument: str
    exact: Decimal = ZERO
    base: float = 0.0
    quantity: float = 0.0
    profit: float = 0.0
    invested: int = 0


@dataclass(slots=True)
class Curves:
    """An account by decision time; money in the quote currency.

    A year of minutes takes 4.2 MB for each of time, equity, gross and benchmark, and for each
    strategy and instrument.

    Attributes:
        time: Milliseconds since the epoch UTC.
        equity: Cash plus holdings at their marks.
        gross: The sum over instruments of |quantity of all strategies| * mark.
        benchmark: Buy and hold.
        strategies, instruments: By name.
        positions: By strategy and instrument.
    """

    time: array[int] = field(default_factory=arrays.times)
    equity: array[float] = field(default_factory=arrays.floats)
    gross: array[float] = field(default_factory=arrays.floats)
    benchmark: array[float] = field(default_factory=arrays.floats)
    strategies: dict[str, Line] = field(default_factory=dict)
    instruments: dict[str, Line] = field(default_factory=dict)
    positions: dict[tuple[str, str], Position] = field(default_factory=dict)
    _net: dict[str, float] = field(default_factory=dict)

    def know(self, strategies: Iterable[str], instruments: Iterable[str]) -> None:
        """Draw a line for each strategy and instrument from now on, zero until now."""
        for lines, names in ((self.strategies, strategies), (self.instruments, instruments)):
            for name in names:
                if name not in lines:
                    lines[name] = Line(arrays.floats(len(self.time)))

    def hold(self, holding: Holding, before: Decimal) -> None:
        """Take a holding as it changed; `before` is what it had made when the run began."""
        pair = (holding.strategy, holding.instrument)
        self.know((holding.strategy,), (holding.instrument,))
        if pair not in self.positions:
            self.positions[pair] = Position(*pair)
            self.strategies[holding.strategy].positions.append(self.positions[pair])
            self.instruments[holding.instrument].positions.append(self.positions[pair])
        position = self.positions[pair]
        kept = subtract(subtract(holding.realised, holding.fees), holding.cost)
        position.base = float(subtract(kept, before))
        position.exact = holding.quantity
        position.quantity = float(holding.quantity)
        # Summed exactly: two strategies that hold against each other hold nothing.
        same = [one for one in self.positions.values() if one.instrument == holding.instrument]
        self._net[holding.instrument] = float(total([one.exact for one in same]))

    def add(self, time: int, equity: float, benchmark: float, prices: Mapping[str, float]) -> None:
        """Take a decision time, its marks and its equity."""
        self.time.append(time)
        self.equity.append(equity)
        self.benchmark.append(benchmark)
        self.gross.append(
            math.fsum(abs(net) * prices[name] for name, net in self._net.items() if net)
        )
        for position in self.positions.values():
            worth = position.quantity * prices[position.instrument] if position.quantity else 0.0
            position.profit = position.base + worth
            position.invested += position.quantity != 0
        for line in self.strategies.values():
            line.add()
        for line in self.instruments.values():
            line.add()
