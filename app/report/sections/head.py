"""A report enters; its header leaves: what ran, on what, and what to be careful about."""

from __future__ import annotations

from app.report.markup import Markup, join, tag
from app.report.numbers import count, duration, moment
from app.report.run import Report
from app.report.sections.table import folded, table

SHOWN_INPUTS = 4


def head(report: Report) -> Markup:
    """Return the header."""
    info = report.info
    facts = [("Run", info.run), ("Code", info.code), *_range(report)]
    listed = join(tag("div", tag("dt", name), tag("dd", words)) for name, words in facts)
    return tag(
        "header",
        tag("h1", info.title),
        tag("dl", listed, class_="facts"),
        warnings(report.warnings()),
        _inputs(report),
        _files(report),
    )


def warnings(found: tuple[str, ...]) -> Markup:
    """Return the warnings as a list; nothing for none."""
    if not found:
        return Markup("")
    entries = [tag("li", each) for each in found]
    return tag(
        "div", tag("h2", "Read with care"), tag("ul", *entries), class_="warnings", role="note"
    )


def _range(report: Report) -> list[tuple[str, str]]:
    accounts = report.summary.accounts
    begin = min(account.start for account in accounts)
    end = max(account.end for account in accounts)
    names = ", ".join(account.name for account in accounts)
    return [
        ("Accounts" if len(accounts) > 1 else "Account", names),
        ("From", f"{moment(begin)} UTC"),
        ("To", f"{moment(end)} UTC"),
        ("Length", duration(end - begin)),
        ("Interval", duration(accounts[0].conditions.interval)),
    ]


def _inputs(report: Report) -> Markup:
    rows = [[each.name, each.extent, count(each.records)] for each in report.info.inputs]
    if not rows:
        return Markup("")
    shown = table(["Input", "From and to", "Records"], rows, words=2)
    return shown if len(rows) <= SHOWN_INPUTS else folded(f"{len(rows)} inputs", shown)


def _files(report: Report) -> Markup:
    links = [tag("a", name, href=name) for name in report.info.files]
    return tag("p", "Beside this page: ", join(links, ", "), class_="note") if links else Markup("")
