"""What risk refused, and when it halted an account, enters; the tables leave."""

from __future__ import annotations

from app.core.metrics import AccountSummary
from app.report.markup import Markup
from app.report.numbers import NONE, count, moment
from app.report.sections.table import note, section, table


def refusals(account: AccountSummary, name: str) -> Markup:
    """Return refusals and cuts by limit, and every halt."""
    rows = [
        [each.limit.value, each.example, count(each.refused), count(each.cut)]
        for each in account.activity.refused
    ]
    heads = ["Limit", "The first time", "Refused", "Cut"]
    body = table(heads, rows, words=2) if rows else note(f"{NONE} Risk let every order through.")
    return section(f"{name}-refusals", "Refusals by limit", body, _halts(account))


def _halts(account: AccountSummary) -> Markup:
    rows = [
        [moment(each.time), "halted" if each.TYPE == "halted" else "resumed", each.reason]
        for each in account.activity.halts
    ]
    return table(["Time, UTC", "Account", "Why"], rows, words=3) if rows else Markup("")
