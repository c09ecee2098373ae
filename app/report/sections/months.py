"""Returns by month enter; the table of months by years leaves."""

from __future__ import annotations

from app.core.metrics import AccountSummary
from app.core.metrics.returns import MonthReturn
from app.report.markup import Child, Markup, tag
from app.report.numbers import NONE, share
from app.report.sections.table import note, section

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
STRONG = 0.10
STEPS = 4


def months(account: AccountSummary, name: str) -> Markup:
    """Return the table; a tint says how much, the sign says which way."""
    found = {(each.year, each.month): each for each in account.months}
    years = sorted({each.year for each in account.months})
    head = tag("tr", *(tag("th", word, scope="col") for word in ("", *MONTHS, "Year")))
    rows = [
        tag(
            "tr",
            tag("th", str(year), scope="row"),
            *(_cell(found.get((year, month))) for month in range(1, 13)),
            tag("td", _compound([each for each in account.months if each.year == year])),
        )
        for year in years
    ]
    body = tag("table", tag("thead", head), tag("tbody", *rows), class_="months")
    words = "The first and the last month count as far as the run reached; a year compounds them."
    return section(
        f"{name}-months", "Returns by month", tag("div", body, class_="scroll"), note(words)
    )


def _cell(month: MonthReturn | None) -> Markup:
    if month is None:
        return tag("td", "")
    if month.value is None:
        return tag("td", NONE, title="Not defined: the equity was not above zero.")
    step = min(STEPS, round(abs(month.value) / STRONG * STEPS + 0.5))
    way = "up" if month.value > 0 else "down"
    return tag("td", share(month.value, plus=True), class_=f"{way} t{step}" if month.value else "")


def _compound(row: list[MonthReturn]) -> Child:
    grown = 1.0
    for each in row:
        if each.value is None or each.value <= -1.0:
            return NONE
        grown *= 1.0 + each.value
    return share(grown - 1.0, plus=True)
