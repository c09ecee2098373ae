"""A seed enters; dump files of made-up markets leave, cut where an hour or more ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.market.dumps import Aggregate
from app.market.exchange import SyntheticMarket
from tests.integration.worker import DAY, HOUR

DAY_MS = 24 * HOUR
YIELD = 1.35
"""Trades that a made-up market makes for each order that its rate asks for, on the low side."""


@dataclass(frozen=True, slots=True)
class Days:
    """Made-up trades of several instruments, the same for the same numbers.

    Attributes:
        seed: Chooses them.
        symbols: The instruments, as the exchange names them.
        days: How many days, from 2019-10-11T00:00Z on.
        trades: At least so many come, of all instruments together.
        piece: Milliseconds of a file.
    """

    seed: int
    symbols: tuple[str, ...]
    days: int
    trades: int
    piece: int = 2 * HOUR

    @property
    def start(self) -> int:
        """When they begin, milliseconds since the epoch UTC."""
        return DAY

    @property
    def end(self) -> int:
        """When they end."""
        return DAY + self.days * DAY_MS

    @property
    def pieces(self) -> int:
        """How many files each instrument has."""
        return self.days * DAY_MS // self.piece

    def write(self, folder: Path) -> dict[str, list[Path]]:
        """Write what is not there yet; return the files of each symbol, in their order."""
        named = folder / f"{self.seed}-{self.days}-{self.trades}-{len(self.symbols)}-{self.piece}"
        named.mkdir(parents=True, exist_ok=True)
        return {symbol: self._write(symbol, named) for symbol in self.symbols}

    def _write(self, symbol: str, folder: Path) -> list[Path]:
        files = [folder / f"{symbol}-{number:02}.csv" for number in range(self.pieces)]
        if not files[-1].exists():
            rows = self._rows(symbol)
            row = next(rows)
            for number, file in enumerate(files):
                until = self.start + (number + 1) * self.piece
                part = file.with_suffix(".part")
                with part.open("w") as out:
                    while row.time < until:
                        out.write(line(row))
                        row = next(rows)
                part.rename(file)
        return files

    def _rows(self, symbol: str) -> Iterator[Aggregate]:
        seconds = self.days * DAY_MS / 1000
        rate = self.trades / len(self.symbols) / seconds / YIELD
        market = SyntheticMarket(symbol, symbol[:3], "USDT", seed=self.seed, rate=rate)
        return (entry.aggregate for entry in market.entries(self.start))


def line(row: Aggregate) -> str:
    """Return a trade as a dump of aggregates holds it."""
    return (
        f"{row.id},{row.price},{row.quantity},{row.first_id},{row.last_id},{row.time},"
        f"{row.buyer_maker},True\n"
    )
