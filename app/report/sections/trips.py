"""An account's round trips enter; their histogram and their list leave."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.metrics import AccountSummary, Trip
from app.report.charts.bars import bins, histogram
from app.report.charts.lines import Words
from app.report.markup import Child, Markup, join, tag
from app.report.numbers import NONE, Money, count, duration, moment, price, quantity
from app.report.sections.table import folded, note, section, table

SHOWN = 100
ARROWS = {"long": "▲ long", "short": "▼ short"}
HEADS = ("Entry, UTC", "Lasted", "Strategy", "Instrument", "Direction", "Quantity", "Entry price",
         "Exit price", "Profit", "Fees", "Worst", "Best")  # fmt: skip


def distribution(account: AccountSummary, money: Money, name: str) -> Markup:
    """Return how the trips' profits are spread; a sentence where there are none."""
    title = "Profit a round trip"
    if not account.trips:
        return section(f"{name}-spread", title, note(f"{NONE} No round trip was closed."))
    profits = [float(trip.profit) for trip in account.trips]
    words = Words(
        f"{name}-spread-chart",
        f"{title} in {account.quote}",
        f"{len(profits)} closed round trips between {money.near(min(profits))} and "
        f"{money.near(max(profits))}.",
    )
    rows = [
        [money.near(low), money.near(high), count(found)]
        for low, high, found in bins(profits)
        if found
    ]
    return section(
        f"{name}-spread",
        title,
        histogram(words, profits),
        folded("The numbers", table(["From", "To", "Trips"], rows, words=0)),
    )


def trips(account: AccountSummary, money: Money, files: Sequence[str], name: str) -> Markup:
    """Return the open and the last closed trips; files that have all are linked."""
    closed = account.trips[-SHOWN:]
    rows = [_row(trip, account.end, money) for trip in (*account.open_trips, *closed[::-1])]
    last = f", the last {SHOWN} closed shown" if len(account.trips) > SHOWN else ""
    words = (
        f"{count(len(account.open_trips))} open, {count(len(account.trips))} closed; the newest "
        f"first{last}. Worst and best are the profit at the worst and best decision time (MAE, "
        f"MFE). "
    )
    links = [tag("a", each, href=each) for each in ("trips.csv", "fills.csv") if each in files]
    listed = note(join([words, "All: ", join(links, ", ")] if links else [words]))
    body = table(HEADS, rows, words=5, tight=True) if rows else Markup("")
    return section(f"{name}-trips", "Round trips", listed, body)


def _row(trip: Trip, end: int, money: Money) -> list[Child]:
    until = end if trip.exit_time is None else trip.exit_time
    lasted = duration(until - trip.entry_time)
    return [
        moment(trip.entry_time),
        f"{lasted}, open" if trip.exit_time is None else lasted,
        trip.strategy,
        trip.instrument,
        ARROWS[trip.direction],
        quantity(trip.quantity),
        price(trip.entry_price),
        NONE if trip.exit_price is None else price(trip.exit_price),
        money.text(trip.profit, plus=True),
        money.text(trip.fees),
        money.text(trip.worst),
        money.text(trip.best),
    ]
