"""The records of a run enter; every figure, table and curve of its accounts leaves."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.events import Account, Filters, Halted, Portfolio, Resumed
from app.core.metrics.account_figures import account_figures, benchmark_figures
from app.core.metrics.arrays import Floats, Times, frozen_floats, frozen_times
from app.core.metrics.book import AccountRecords, Counts, PlacedOrder, Refused, Start
from app.core.metrics.drawdowns import Drawdown, worst
from app.core.metrics.figure import Figures
from app.core.metrics.marks import FillMarks
from app.core.metrics.parts import Part, check_sum, parts
from app.core.metrics.prices import PriceRecord
from app.core.metrics.ratios import period_rate, rolling_sharpe
from app.core.metrics.recording import RunRecords, RunRecordsError
from app.core.metrics.returns import (
    MonthReturn,
    Returns,
    Sampling,
    monthly,
    rolling,
    sample,
    sampling,
)
from app.core.metrics.trips import Trip


@dataclass(frozen=True, slots=True)
class Paths:
    """An account by decision time, arrays of one length, money in the quote currency.

    Attributes:
        time: Milliseconds since the epoch UTC.
        equity, benchmark: Of the account, and of buy and hold.
        gross: Σ over instruments |position| * mark.
        strategies, instruments: Profit since the start, by name.
    """

    time: Times
    equity: Floats
    benchmark: Floats
    gross: Floats
    strategies: dict[str, Floats]
    instruments: dict[str, Floats]


@dataclass(frozen=True, slots=True)
class Conditions:
    """What an account ran under.

    Attributes:
        account: Its first configuration.
        epochs: How many configurations it had.
        interval: The base interval, milliseconds.
        version: Version of the code that decides.
        filters: The exchange's rules by instrument.
    """

    account: Account
    epochs: int
    interval: int
    version: int
    filters: dict[str, Filters]


@dataclass(frozen=True, slots=True)
class Activity:
    """What an account did, beside what came of it.

    Attributes:
        orders: Every order in the order of (time, instrument, strategy).
        refused: By limit, sorted.
        halts: Every halt and resume.
        counts: How many records there were.
        unbooked: Fills after the last portfolio, in no figure.
        marks: Fills to be drawn, by instrument.
    """

    orders: tuple[PlacedOrder, ...]
    refused: tuple[Refused, ...]
    halts: tuple[Halted | Resumed, ...]
    counts: Counts
    unbooked: int
    marks: dict[str, FillMarks]


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """One account's run, measured from its first to its last decision time.

    Attributes:
        name: The account.
        conditions: What it ran under.
        start, end: The first and the last decision time, milliseconds since the epoch UTC.
        decisions: How many there were.
        sampling: How often the equity was looked at for ratios.
        samples: How many returns that gave.
        risk_free: The yearly rate that ratios count from.
        figures: By the key of their definition, in the order of the definitions.
        benchmark: The same for buy and hold, those that make sense.
        drawdowns: The five worst.
        months: Returns by month.
        rolling: Time and Sharpe ratio over the sampling's window.
        strategies, instruments, pairs: Their parts in the profit, sorted by name.
        trips: Closed round trips in the order they closed.
        open_trips: Those still open, at the last marks, sorted.
        activity: Orders, refusals, halts and fills.
        portfolio: The last one.
        paths: The curves.
    """

    name: str
    conditions: Conditions
    start: int
    end: int
    decisions: int
    sampling: Sampling
    samples: int
    risk_free: float
    figures: Figures
    benchmark: Figures
    drawdowns: tuple[Drawdown, ...]
    months: tuple[MonthReturn, ...]
    rolling: tuple[tuple[int, float | None], ...]
    strategies: tuple[Part, ...]
    instruments: tuple[Part, ...]
    pairs: tuple[Part, ...]
    trips: tuple[Trip, ...]
    open_trips: tuple[Trip, ...]
    activity: Activity
    portfolio: Portfolio
    paths: Paths

    @property
    def quote(self) -> str:
        """The currency of its money."""
        return self.conditions.account.quote


@dataclass(frozen=True, slots=True)
class Summary:
    """A run, measured.

    Attributes:
        accounts: Sorted by name.
        prices: What each instrument did, sorted by name.
    """

    accounts: tuple[AccountSummary, ...]
    prices: dict[str, PriceRecord]


def measure(records: RunRecords, risk_free: float = 0.0) -> Summary:
    """Return every figure of a run.

    Args:
        records: What was fed; it can be fed on and measured again.
        risk_free: The yearly rate that Sharpe and Sortino count from, for example 0.03.

    Raises:
        RunRecordsError: Some account had no portfolio, or its trips do not add up to its equity.
    """
    accounts = [
        _account(account, account.start, account.last, risk_free)
        for _, account in sorted(records.accounts.items())
        if account.start is not None and account.last is not None
    ]
    if not accounts:
        raise RunRecordsError(
            "no account had a portfolio: the input ended before the first decision time, or no "
            "account joined. Give it a longer input."
        )
    return Summary(tuple(accounts), dict(sorted(records.prices.items())))


def _account(
    records: AccountRecords, start: Start, last: Portfolio, risk_free: float
) -> AccountSummary:
    paths = _paths(records)
    conditions = _conditions(records)
    begin, end = int(paths.time[0]), int(paths.time[-1])
    how = sampling(end - begin, conditions.interval)
    returns = sample(paths.time, paths.equity, how)
    drawdowns = worst(paths.time, paths.equity)
    pairs, strategies, instruments = parts(records, start)
    open_trips = _open_trips(records)
    check_sum(records, start, last, open_trips)
    benchmark = benchmark_figures(start, paths.time, paths.benchmark, how, risk_free)
    return AccountSummary(
        name=records.name,
        conditions=conditions,
        start=begin,
        end=end,
        decisions=len(paths.time),
        sampling=how,
        samples=len(returns.values),
        risk_free=risk_free,
        figures=account_figures(records, start, last, returns, drawdowns, risk_free, benchmark),
        benchmark=benchmark,
        drawdowns=drawdowns,
        months=monthly(paths.time, paths.equity),
        rolling=_rolling(returns, risk_free),
        strategies=strategies,
        instruments=instruments,
        pairs=pairs,
        trips=tuple(records.trips),
        open_trips=open_trips,
        activity=_activity(records),
        portfolio=last,
        paths=paths,
    )


def _activity(records: AccountRecords) -> Activity:
    return Activity(
        orders=tuple(sorted(records.orders, key=lambda o: (o.time, o.instrument, o.strategy))),
        refused=tuple(refused for _, refused in sorted(records.refused.items())),
        halts=tuple(records.halts),
        counts=records.counts,
        unbooked=len(records.pending),
        marks=dict(sorted(records.marks.items())),
    )


def _paths(records: AccountRecords) -> Paths:
    curves = records.curves
    return Paths(
        time=frozen_times(curves.time),
        equity=frozen_floats(curves.equity),
        benchmark=frozen_floats(curves.benchmark),
        gross=frozen_floats(curves.gross),
        strategies={
            name: frozen_floats(line.profit) for name, line in sorted(curves.strategies.items())
        },
        instruments={
            name: frozen_floats(line.profit) for name, line in sorted(curves.instruments.items())
        },
    )


def _conditions(records: AccountRecords) -> Conditions:
    first = records.epochs[min(records.epochs)]
    return Conditions(
        account=first.account,
        epochs=len(records.epochs),
        interval=first.interval,
        version=first.version,
        filters=dict(sorted(records.filters.items())),
    )


def _open_trips(records: AccountRecords) -> tuple[Trip, ...]:
    return tuple(
        book.open.trip(records.prices[instrument])
        for (_, instrument), book in sorted(records.books.items())
        if book.open is not None
    )


def _rolling(returns: Returns, risk_free: float) -> tuple[tuple[int, float | None], ...]:
    per_year = returns.sampling.per_year
    rate = period_rate(risk_free, per_year)
    return rolling(returns, lambda values: rolling_sharpe(values, rate, per_year))
