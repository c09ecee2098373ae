"""What a demo run plays, and the settings that its processes are started with."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from app import data
from app.market.exchange import DumpMarket, MarketSource, SyntheticMarket

DAY = 86_400_000
MINUTE = 60_000
RECORDED_DAY = 1_570_752_000_000  # 2019-10-11T00:00:00Z
RECORDING = "XRPETH-trades-2019-10-11.csv"
TAIL = 3_000  # exchange time after the last minute, in which its clock can come


@dataclass(frozen=True, slots=True)
class Plan:
    """One demo run.

    Attributes:
        name: Names its topics, groups and schema, so that no run is taken for another's repeat.
        start: Exchange time it begins at, milliseconds since the epoch UTC.
        minutes: How much of the day it plays.
        speed: Exchange seconds per second.
        recording: The dump of the recorded day.
    """

    name: str
    start: int
    minutes: int
    speed: float
    recording: Path

    @property
    def last(self) -> int:
        """The last decision time, milliseconds since the epoch UTC."""
        return self.start + self.minutes * MINUTE

    @property
    def until(self) -> int:
        """Where the exchange's clock stops."""
        return self.last + TAIL

    @property
    def made_up(self) -> frozenset[str]:
        """The instruments whose prices are synthetic."""
        return frozenset(
            f"BINANCE:{market.symbol}"
            for market in self.markets()
            if isinstance(market, SyntheticMarket)
        )

    def markets(self) -> Sequence[MarketSource]:
        """Return the recorded market beside a busy synthetic one."""
        return (
            DumpMarket(self.recording, "XRPETH", "XRP", "ETH"),
            _synthetic("BTCUSDT", "BTC", price="8500", step="0.00001", rate=2.0),
            _synthetic("ETHUSDT", "ETH", price="190", step="0.0001", rate=1.0),
            _synthetic("SOLUSDT", "SOL", price="20", step="0.01", rate=0.3),
        )

    def environment(self, stream: str, rest: str) -> dict[str, str]:
        """Return the variables that let a worker trade on the demo's exchange."""
        return {
            "LOCKSTEP_CONFIG": str(data.folder("deploy/config") / "demo"),
            "LOCKSTEP_KAFKA__PREFIX": f"{self.name}.",
            "LOCKSTEP_DATABASE__SCHEMA": self.name.replace("-", "_"),
            "LOCKSTEP_MARKET__STREAM": stream,
            "LOCKSTEP_MARKET__REST": rest,
            "LOCKSTEP_MARKET__START_TIME": str(self.start),
        }


def make(minutes: int, speed: float) -> Plan:
    """Return the plan of a new run."""
    recording = data.PACKAGE.parent / "tests" / "data" / RECORDING
    name = time.strftime("demo-%Y%m%d-%H%M%S", time.gmtime())
    return Plan(name, RECORDED_DAY, minutes, speed, recording)


def _synthetic(symbol: str, base: str, *, price: str, step: str, rate: float) -> SyntheticMarket:
    return SyntheticMarket(
        symbol,
        base,
        "USDT",
        price=Decimal(price),
        step_size=Decimal(step),
        rate=rate,
        order_value=Decimal(20_000),
    )
