"""What was wrong with the data enters; the tables of gaps and late trades leave."""

from __future__ import annotations

from app.core.metrics import Summary
from app.report.markup import Markup
from app.report.numbers import NONE, count, moment
from app.report.sections.table import folded, note, section, table

SHOWN_GAPS = 20
HEADS = (
    "Instrument",
    "Candles",
    "Incomplete",
    "Without trades",
    "Gaps",
    "Late trades",
    "Revisions",
)


def quality(summary: Summary) -> Markup:
    """Return each instrument's counts and every gap."""
    rows = [
        [name, *map(count, (price.candles, price.incomplete, price.empty, len(price.gaps),
                            price.late, price.revised))]
        for name, price in summary.prices.items()
    ]  # fmt: skip
    body = table(HEADS, rows) if rows else note(f"{NONE} No candle was among the records.")
    return section("data", "Gaps and late trades", body, _gaps(summary))


def _gaps(summary: Summary) -> Markup:
    rows = [
        [
            name,
            moment(gap.from_time),
            moment(gap.to_time),
            f"{gap.first_id} to {NONE if gap.last_id is None else gap.last_id}",
            gap.reason,
        ]
        for name, price in summary.prices.items()
        for gap in price.gaps.values()
    ]
    if not rows:
        return Markup("")
    shown = table(["Instrument", "From, UTC", "To, UTC", "Trade ids", "Why"], rows, words=5)
    return shown if len(rows) <= SHOWN_GAPS else folded(f"{len(rows)} gaps", shown)
