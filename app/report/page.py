"""A report enters; `report.html` leaves: one page that runs no code and asks for nothing else.

What `report.json` holds stands in it, too, so that a page sent on by itself is still data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.core.metrics import AccountSummary
from app.report.document import content
from app.report.markup import Markup, data, join, tag
from app.report.numbers import Money
from app.report.run import Report
from app.report.sections.definitions import definitions
from app.report.sections.drawdowns import drawdowns
from app.report.sections.equity import equity
from app.report.sections.figures import figures, headline
from app.report.sections.head import head
from app.report.sections.months import months
from app.report.sections.parameters import parameters
from app.report.sections.parts import curves, parts
from app.report.sections.prices import prices
from app.report.sections.quality import quality
from app.report.sections.refusals import refusals
from app.report.sections.rolling import exposure, rolling_sharpe
from app.report.sections.table import halves
from app.report.sections.trips import distribution, trips

STYLE = Path(__file__).with_name("report.css")


def page(report: Report) -> bytes:
    """Return `report.html`; the same bytes for the same report."""
    summary = report.summary
    accounts = [
        _account(report, each, f"a{number}") for number, each in enumerate(summary.accounts)
    ]
    body = [head(report), *accounts, quality(summary), definitions()]
    return html(report.info.title, content(report), *body)


def html(title: str, document: dict[str, Any], *body: Markup) -> bytes:
    """Return a whole page with our style, a document as data, and nothing from elsewhere."""
    top = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        # An empty icon, or a browser would ask for one.
        tag("title", title),
        Markup('<link rel="icon" href="data:,">'),
        tag("style", Markup(STYLE.read_text(encoding="utf-8"))),
    )
    whole = tag("html", top, tag("body", tag("main", *body), data("document", document)), lang="en")
    return f"<!doctype html>\n{whole}\n".encode()


def _account(report: Report, account: AccountSummary, name: str) -> Markup:
    money = Money.of(account.quote, account.conditions.account.capital)
    sections = [
        headline(account, money),
        figures(account, money, name),
        equity(account, money, name),
        prices(account, report.summary.prices, name),
        curves(account, money, name),
        parts(account, money, name),
        months(account, name),
        halves(rolling_sharpe(account, name), exposure(account, name)),
        halves(distribution(account, money, name), drawdowns(account, name)),
        refusals(account, name),
        trips(account, money, report.info.files, name),
        parameters(account, name),
    ]
    title = tag("h2", account.name, id=name)
    return tag("article", title, join(sections), aria_labelledby=name)
