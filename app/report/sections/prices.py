"""An account's instruments enter; a price chart with its fills for each leaves, with its table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.core.metrics import AccountSummary
from app.core.metrics.marks import FillMarks
from app.core.metrics.prices import Bar, PriceRecord
from app.report.charts.lines import Words
from app.report.charts.price import MOST_CANDLES, price_chart
from app.report.markup import Markup, join, tag
from app.report.numbers import count, counted, duration, moment
from app.report.sections.equity import ROWS
from app.report.sections.table import folded, section, table


def prices(account: AccountSummary, found: dict[str, PriceRecord], name: str) -> Markup:
    """Return a chart for each of the account's instruments that had a price."""
    instruments = account.paths.instruments
    charts = [
        _price(account, instrument, found[instrument], f"{name}-price-{number}")
        for number, instrument in enumerate(instruments)
        if instrument in found and found[instrument].bars
    ]
    return join(charts)


def _price(account: AccountSummary, instrument: str, price: PriceRecord, name: str) -> Markup:
    fills = account.activity.marks.get(instrument)
    bars = price.bars
    drawn = "candles, hollow where they rose" if len(bars) <= MOST_CANDLES else "range and close"
    title = f"{instrument} and its fills"
    words = Words(
        f"{name}-chart",
        f"Price of {instrument} in {account.quote}",
        f"{count(price.candles)} candles drawn as {len(bars)} of {duration(price.length)} each; "
        f"low {min(bar.low for bar in bars):g}, high {max(bar.high for bar in bars):g}, last "
        f"{bars[-1].close:g}. {_fills(fills)}",
    )
    key = tag(
        "p",
        tag("span", tag("i", "▲", class_="bought"), "bought"),
        tag("span", tag("i", "▼", class_="sold"), "sold"),
        tag("span", f"{drawn}, {duration(price.length)} each; {_fills(fills)}"),
        class_="legend",
    )
    return section(
        name, title, key,
        price_chart(words, bars, price.length, fills),
        folded("The numbers", _table(bars)),
    )  # fmt: skip


def _fills(fills: FillMarks | None) -> str:
    if fills is None:
        return "No fills."
    bought = sum(fills.buy)
    return f"{counted(bought, 'fill')} bought, {count(len(fills.buy) - bought)} sold."


def _table(bars: Sequence[Bar]) -> Markup:
    size = -(-len(bars) // ROWS)
    rows = []
    for begin in range(0, len(bars), size):
        row = replace(bars[begin])
        for bar in bars[begin + 1 : begin + size]:
            row.take(bar)
        cells = [f"{each:g}" for each in (row.open, row.high, row.low, row.close)]
        rows.append([moment(bars[min(begin + size, len(bars)) - 1].time), *cells])
    return table(["Until, UTC", "Open", "High", "Low", "Close"], rows)
