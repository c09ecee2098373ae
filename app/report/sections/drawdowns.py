"""An account's worst drawdowns enter; their table leaves."""

from __future__ import annotations

from app.core.metrics import AccountSummary
from app.report.markup import Markup
from app.report.numbers import NONE, duration, moment, share
from app.report.sections.table import note, section, table

HEADS = ("", "Depth", "Peak, UTC", "Lowest, UTC", "Recovered, UTC", "Lasted")


def drawdowns(account: AccountSummary, name: str) -> Markup:
    """Return the five worst falls from a peak."""
    rows = [
        [
            str(number),
            share(each.depth),
            moment(each.start),
            moment(each.trough),
            f"{NONE} not yet" if each.recovery is None else moment(each.recovery),
            duration(each.length),
        ]
        for number, each in enumerate(account.drawdowns, start=1)
    ]
    body = table(HEADS, rows) if rows else note(f"{NONE} The equity never fell.")
    return section(f"{name}-drawdowns", "Worst drawdowns", body)
