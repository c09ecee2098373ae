"""An account's holdings at the start and the end enter; each part's share of the profit leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.core.decimals import ZERO, add, multiply, plain, subtract, total
from app.core.events import Holding, Portfolio
from app.core.metrics.book import AccountRecords, Pair, RunRecordsError, Start
from app.core.metrics.figure import Figure, Figures, quotient
from app.core.metrics.trip_figures import trip_figures
from app.core.metrics.trips import Trip
from app.core.positions import empty_holding


@dataclass(frozen=True, slots=True)
class Part:
    """What one strategy, one instrument, or one strategy in one instrument came to.

    Attributes:
        name: Of the strategy or the instrument, or of both with " / " between.
        strategy, instrument: None where it is all of them.
        figures: realised, unrealised, fees, profit, turnover, fills, invested_time, and those of
            its trips; money since the start, exact.
    """

    name: str
    strategy: str | None
    instrument: str | None
    figures: Figures


@dataclass(frozen=True, slots=True)
class Earned:
    """Money a holding made since the start, quote currency."""

    realised: Decimal
    unrealised: Decimal
    fees: Decimal


def parts(
    records: AccountRecords, start: Start
) -> tuple[tuple[Part, ...], tuple[Part, ...], tuple[Part, ...]]:
    """Return the parts by strategy and instrument, by strategy, and by instrument, sorted.

    The profits of each of the three add up to the account's, to the last digit. A strategy or an
    instrument of the configuration that never traded has a part of zeros.
    """
    earned = {pair: _earned(records, start, pair) for pair in sorted(records.holdings)}
    lines = records.curves
    pairs = tuple(
        _part(records, earned, " / ".join(pair), pair, lines.positions[pair].invested)
        for pair in earned
    )
    strategies = tuple(
        _part(records, earned, name, (name, None), line.invested)
        for name, line in sorted(lines.strategies.items())
    )
    instruments = tuple(
        _part(records, earned, name, (None, name), line.invested)
        for name, line in sorted(lines.instruments.items())
    )
    return pairs, strategies, instruments


def check_sum(
    records: AccountRecords, start: Start, last: Portfolio, open_trips: Sequence[Trip]
) -> None:
    """Check that all trips, closed and open, made exactly what the equity gained.

    Raises:
        RunRecordsError: They did not.
    """
    made = total([trip.profit for trip in (*records.trips, *open_trips)])
    gained = subtract(last.equity, start.equity)
    if made != gained:
        raise RunRecordsError(
            f"the round trips of {records.name} made {plain(made)}, its equity gained "
            f"{plain(gained)}: a mark or a fill was missing among the records. Feed all of them."
        )


def _earned(records: AccountRecords, start: Start, pair: Pair) -> Earned:
    now = records.holdings[pair]
    then = start.holdings.get(pair) or empty_holding(*pair)
    worth = multiply(now.quantity, records.prices[now.instrument]) if now.quantity else ZERO
    unrealised = subtract(worth, now.cost)
    before = subtract(start.worth.get(pair, ZERO), then.cost)
    return Earned(
        realised=subtract(now.realised, then.realised),
        unrealised=subtract(unrealised, before),
        fees=_fees(now, then),
    )


def _fees(now: Holding, then: Holding) -> Decimal:
    return subtract(now.fees, then.fees)


def _part(
    records: AccountRecords,
    earned: dict[Pair, Earned],
    name: str,
    of: tuple[str | None, str | None],
    invested: int,
) -> Part:
    strategy, instrument = of

    def chosen(pair: Pair) -> bool:
        return strategy in (None, pair[0]) and instrument in (None, pair[1])

    own = [each for pair, each in earned.items() if chosen(pair)]
    traded = [each for pair, each in records.traded.items() if chosen(pair)]
    trips = [trip for trip in records.trips if chosen((trip.strategy, trip.instrument))]
    realised = total([each.realised for each in own])
    unrealised = total([each.unrealised for each in own])
    fees = total([each.fees for each in own])
    figures: Figures = {
        "profit": Figure(subtract(add(realised, unrealised), fees)),
        "realised": Figure(realised),
        "unrealised": Figure(unrealised),
        "fees": Figure(fees),
        "turnover": Figure(total([each.notional for each in traded])),
        "fills": Figure(sum(each.fills for each in traded)),
        "invested_time": quotient(invested, len(records.curves.time), "no decision time"),
        **trip_figures(trips),
    }
    return Part(name, strategy, instrument, figures)
