"""A seed and a symbol's habits come in, an endless stream of believable aggregates goes out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from random import Random

from app.market.dumps import Aggregate
from app.market.exchange.log import Entry

YEAR_SECONDS = 31_557_600.0
RETURN_RATE = 1e-6  # per second, towards the first price: no year-long run ends at 0 or infinity
MOST_LEVELS = 4
MOST_FILLS = 25


@dataclass(frozen=True, slots=True)
class Mood:
    """How a market behaves for a while.

    Attributes:
        share: how often it comes, relative to the others.
        mean_seconds: how long it lasts on average.
        rate: orders, relative to the symbol's own rate.
        volatility: relative to the symbol's own.
        drift: of the logarithm of the price, per square root of the symbol's variance a second.
    """

    share: float
    mean_seconds: float
    rate: float
    volatility: float
    drift: float = 0.0


MOODS = {
    "range": Mood(share=4, mean_seconds=600, rate=1.0, volatility=0.7),
    "rise": Mood(share=3, mean_seconds=900, rate=1.3, volatility=1.0, drift=0.08),
    "fall": Mood(share=3, mean_seconds=900, rate=1.3, volatility=1.0, drift=-0.08),
    "quiet": Mood(share=1, mean_seconds=240, rate=0.005, volatility=0.2),
    "burst": Mood(share=2, mean_seconds=4, rate=20.0, volatility=3.0),
}


@dataclass(frozen=True, slots=True)
class SyntheticMarket:
    """An endless seeded market with trends, ranges, quiet spells and bursts.

    The same seed, symbol, start time and habits give the same trades. Ids begin at a number made
    from the start time, so that a later run goes on above an earlier one.

    Attributes:
        symbol: such as BTCUSDT.
        base: its base asset.
        quote: its quote asset.
        seed: chooses the market.
        price: the price it begins at and returns to in the long run.
        tick_size: prices are multiples of it.
        step_size: quantities are multiples of it.
        rate: taker orders per second in an ordinary mood.
        yearly_volatility: standard deviation of a year's logarithmic return.
        order_value: quote units of a typical order.
        min_notional: the least price x quantity of an order; by default usual for the quote.
    """

    symbol: str
    base: str
    quote: str
    seed: int = 1
    price: Decimal = Decimal(100)
    tick_size: Decimal = Decimal("0.01")
    step_size: Decimal = Decimal("0.001")
    rate: float = 1.0
    yearly_volatility: float = 0.7
    order_value: Decimal = Decimal(500)
    min_notional: Decimal | None = None

    def entries(self, start: int) -> Iterator[Entry]:
        """Yield aggregates, endlessly, from an exchange time on, in milliseconds."""
        process = _Process(self, start)
        while True:
            yield from process.order()


class _Process:
    """The state of one market: time, mood, price and ids. Floats stay inside."""

    def __init__(self, market: SyntheticMarket, start: int) -> None:
        self._market = market
        self._start = start
        self._random = Random(f"{market.seed}:{market.symbol}:{start}")  # noqa: S311 a game
        self._home = self._logarithm = math.log(float(market.price))
        self._sigma = market.yearly_volatility / math.sqrt(YEAR_SECONDS)
        self._seconds = 0.0
        self._mood_ends = 0.0
        self._mood = MOODS["range"]
        self._aggregate_id = start // 10
        self._trade_id = start // 4

    def order(self) -> Iterator[Entry]:
        """Yield the aggregates of the next taker order: one a price level, all at one time."""
        self._pass_time()
        random, market = self._random, self._market
        buys = random.random() < 0.5 + math.copysign(0.1, self._mood.drift) * bool(self._mood.drift)
        middle = math.exp(self._logarithm) / float(market.tick_size)
        ticks = math.ceil(middle) if buys else math.floor(middle)
        for level in range(_few(random, 0.15, MOST_LEVELS)):
            price = max(1, ticks + level if buys else ticks - level) * market.tick_size
            yield self._aggregate(price, buyer_maker=not buys)

    def _pass_time(self) -> None:
        """Move to the next order's time, through as many moods as lie before it."""
        while True:
            wait = self._random.expovariate(self._market.rate * self._mood.rate)
            if self._seconds + wait < self._mood_ends:
                self._wander(wait)
                return
            self._wander(self._mood_ends - self._seconds)
            moods = list(MOODS.values())
            (self._mood,) = self._random.choices(moods, [mood.share for mood in moods])
            self._mood_ends += self._random.expovariate(1 / self._mood.mean_seconds)

    def _wander(self, seconds: float) -> None:
        """Let the price drift, diffuse and return for a while."""
        noise = self._random.gauss() * self._mood.volatility * math.sqrt(seconds)
        trend = self._mood.drift * seconds
        home = (self._home - self._logarithm) * RETURN_RATE * seconds
        self._logarithm += self._sigma * (noise + trend) + home
        self._seconds += seconds

    def _aggregate(self, price: Decimal, *, buyer_maker: bool) -> Entry:
        random, market = self._random, self._market
        value = float(market.order_value) * random.lognormvariate(-0.5, 1.0)
        lots = max(1, round(value / float(price) / float(market.step_size)))
        parts = _split(random, lots, min(lots, _few(random, 0.4, MOST_FILLS)))
        first, self._trade_id = self._trade_id, self._trade_id + len(parts)
        identity, self._aggregate_id = self._aggregate_id, self._aggregate_id + 1
        aggregate = Aggregate(
            id=identity,
            first_id=first,
            last_id=self._trade_id - 1,
            time=self._start + int(self._seconds * 1000),
            price=price,
            quantity=lots * market.step_size,
            buyer_maker=buyer_maker,
        )
        return Entry(aggregate, tuple(part * market.step_size for part in parts))


def _few(random: Random, again: float, most: int) -> int:
    """Draw a small number, at least 1: each further one comes with the same probability."""
    number = 1
    while number < most and random.random() < again:
        number += 1
    return number


def _split(random: Random, lots: int, parts: int) -> list[int]:
    """Divide lots at random into so many parts of at least one."""
    cuts = sorted(random.sample(range(1, lots), parts - 1)) if parts > 1 else []
    return [high - low for low, high in zip([0, *cuts], [*cuts, lots], strict=True)]
