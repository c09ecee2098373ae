"""A seed enters; records of `trades` leave as bytes, as market data would append them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.core.events import (
    Account,
    Allocation,
    AllocationMethod,
    Clock,
    Epoch,
    ExecutionModel,
    Filters,
    History,
    Join,
    Message,
    Record,
    RiskLimits,
    Series,
    StrategySetting,
    Trades,
)
from app.core.flow import VERSION
from app.runtime.codec import encode

START = 1_570_752_000_000  # 2019-10-11T00:00:00Z
FLUSH_COUNT = 1_000  # as market.flush_count
FLUSH_AFTER = 20  # milliseconds, as market.flush_after
HISTORY = 60
SCALE = -4
FIRST_PRICE = 1_000_000  # in ticks
QUOTES = ("USDT", "BTC")
FILTERS = Filters(Decimal(1).scaleb(SCALE), Decimal("0.001"), Decimal("0.001"), Decimal(1))
STRATEGIES = (
    # Narrow, so that orders come: an empty decision costs less than one that trades.
    StrategySetting("momentum", {"lookback": "5", "entry": "0.0001"}),
    StrategySetting("macd", {"fast": "3", "slow": "6", "signal": "3"}),
)


@dataclass(frozen=True, slots=True)
class Packed:
    """One record as it will stand on `trades`.

    Attributes:
        instrument: Its key.
        value: Its bytes.
        due: When market data would append it, milliseconds of exchange time.
        trades: How many trades it holds.
        closes: The decision time whose bar it closes; none: it closes no bar.
    """

    instrument: str
    value: bytes
    due: int
    trades: int = 0
    closes: int | None = None


@dataclass(frozen=True, slots=True)
class Market:
    """Instruments that trade at random moments, and an account for each quote currency.

    Attributes:
        instruments: How many.
        interval: The base interval, milliseconds.
        rate: Trades of each instrument in each interval.
        intervals: How many.
        wait: Records are sent every so many milliseconds, and at once what closes a bar.
        capital: Of each account, quote currency; much is ordered with much, and fills many trades.
    """

    instruments: int
    interval: int
    rate: int
    intervals: int
    wait: int
    capital: int = 100_000

    def after(self, number: int) -> int:
        """Return the decision time after so many intervals."""
        return START + number * self.interval

    @property
    def first(self) -> int:
        """The first decision time."""
        return START + self.interval

    @property
    def last(self) -> int:
        """The last decision time."""
        return START + self.intervals * self.interval

    def names(self, quote: str) -> tuple[str, ...]:
        """Return the instruments of a quote currency."""
        numbers = range(QUOTES.index(quote), self.instruments, len(QUOTES))
        return tuple(f"BENCH:C{number:02}{quote}" for number in numbers)

    def accounts(self) -> tuple[Account, ...]:
        """Return an account for each quote currency."""
        return tuple(
            _account(quote, names, self.capital) for quote in QUOTES if (names := self.names(quote))
        )

    def steering(self) -> list[Packed]:
        """Return what makes every instrument join at the end of the first interval."""
        return [
            Packed(name, encode(Message(record)), START)
            for account in self.accounts()
            for name in account.instruments
            for record in self._joining(account, name)
        ]

    def records(self, seed: int) -> list[Packed]:
        """Return all trades in the order market data would append them, and the last clocks."""
        names = [name for account in self.accounts() for name in account.instruments]
        found = [packed for name in names for packed in self._stream(name, f"{seed}/{name}")]
        return sorted(found, key=lambda packed: packed.due)

    def _joining(self, account: Account, name: str) -> Iterator[Record]:
        times = tuple(START - number * self.interval for number in range(HISTORY, 0, -1))
        closes = tuple(_price(FIRST_PRICE + number % 7) for number in range(HISTORY))
        ones = (Decimal(1),) * HISTORY
        yield Epoch(name, account, 1, FILTERS, name[6:9], self.interval, VERSION)
        yield History(name, self.interval, times, closes, closes, closes, closes, ones)
        yield Join(name, account.name, 1, self.first, 1, Series.AGGREGATE)

    def _stream(self, name: str, seed: str) -> Iterator[Packed]:
        draw = random.Random(seed)  # noqa: S311 - a market, no secret
        count = self.intervals * self.rate
        times = sorted(draw.randrange(START, self.last) for _ in range(count))
        price, first = FIRST_PRICE, 1
        for part, closes in self._parts(times):
            prices = []
            for _ in part:
                price = max(1, price + draw.randrange(-20, 21))
                prices.append(_price(price))
            record = _trades(name, first, part, prices, draw)
            first += len(part)
            due = part[-1] if closes else (part[0] // self.wait + 1) * self.wait
            yield Packed(name, encode(Message(record)), due, len(part), closes)
        clock = Clock(name, self.last, count, 0)
        yield Packed(name, encode(Message(clock)), self.last + self.wait, 0, self.last)

    def _parts(self, times: list[int]) -> Iterator[tuple[list[int], int | None]]:
        """Yield the times of each record's trades, and the decision time whose bar it closes."""
        part: list[int] = []
        closing = self.first
        for time in times:
            if part and (time // self.wait > part[0] // self.wait or len(part) == FLUSH_COUNT):
                yield part, None
                part = []
            part.append(time)
            if time >= closing:
                closes = time // self.interval * self.interval
                closing = closes + self.interval
                yield part, closes
                part = []
        if part:
            yield part, None


def split(records: Sequence[Packed], time: int) -> tuple[list[Packed], list[Packed]]:
    """Split records after those that close every instrument's bar at a decision time."""
    closing = [at for at, packed in enumerate(records) if packed.closes == time]
    return list(records[: closing[-1] + 1]), list(records[closing[-1] + 1 :])


def trades_of(records: Iterable[Packed]) -> int:
    """Return how many trades the records hold."""
    return sum(packed.trades for packed in records)


def _price(ticks: int) -> Decimal:
    return Decimal(ticks).scaleb(SCALE)


def _trades(
    name: str, first: int, times: list[int], prices: list[Decimal], draw: random.Random
) -> Trades:
    ids = tuple(range(first, first + len(times)))
    return Trades(
        instrument=name,
        id=ids,
        first_id=ids,
        last_id=ids,
        time=tuple(times),
        price=tuple(prices),
        quantity=tuple(Decimal(draw.randrange(1, 5_000)).scaleb(-3) for _ in times),
        buyer_maker=tuple(draw.random() < 0.5 for _ in times),  # noqa: PLR2004 - a fair coin
        age=0,
    )


def _account(quote: str, instruments: tuple[str, ...], capital: int) -> Account:
    much = Decimal(1_000_000)
    return Account(
        name=f"bench-{quote.lower()}",
        quote=quote,
        capital=Decimal(capital),
        instruments=instruments,
        strategies=STRATEGIES,
        allocation=Allocation(AllocationMethod.EQUAL, Decimal("0.9"), 60),
        risk=RiskLimits(
            order_notional=much,
            position_notional=much,
            gross_notional=much,
            daily_loss=much,
            drawdown=Decimal("0.9"),
            stale_after=10_000,
            allow_short=True,
        ),
        execution=ExecutionModel(
            latency=100,
            slippage=Decimal(1),
            participation=Decimal("0.5"),
            maker_fee=Decimal(1),
            taker_fee=Decimal(1),
        ),
    )
