"""What parent and forks made enters; `report.html` leaves: side by side, in the report's look."""

from __future__ import annotations

from pathlib import Path

from app.core.metrics import AccountSummary, Summary
from app.forks import whatif_words as words
from app.forks.whatif import WhatIf
from app.forks.whatif_batch import PARENT, Outcome, Parting
from app.forks.whatif_document import content, report
from app.replay.explain import Node
from app.report.compare import compare
from app.report.compare_page import article
from app.report.markup import Markup, join, tag
from app.report.numbers import NONE, moment
from app.report.page import html
from app.report.run import Report, RunInfo
from app.report.sections.definitions import definitions
from app.report.sections.table import folded, halves, label, note, section, table, value

HTML, JSON = "report.html", "report.json"
SHORT = ("end_equity", "profit", "total_return", "max_drawdown", "orders", "fills", "fees")


def write(folder: Path, found: WhatIf) -> None:
    """Write `report.html` and `report.json` into a folder, made if need be; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON).write_bytes(report(found))
    (folder / HTML).write_bytes(page(found))


def page(found: WhatIf) -> bytes:
    """Return `report.html`; the same bytes for the same runs."""
    title = f"What if, from {moment(found.point.time)} on"
    top = tag("header", tag("h1", title), note(f"{words.head(found)}."))
    overviews = [_overview(found, each, f"o{n}") for n, each in enumerate(words.accounts(found))]
    variants = [_variant(found, each, f"v{n}") for n, each in enumerate(found.variants)]
    return html(title, content(found), top, *overviews, *variants, definitions())


def _overview(found: WhatIf, account: str, name: str) -> Markup:
    """Return every run of an account, a row each."""
    how = words.money(found, account)
    rows = []
    for each in (found.parent, *found.variants):
        parting = words.parting(each, account)
        rows.append(
            [
                each.variant.name,
                words.settings(each.variant) if each.variant.overrides else NONE,
                NONE if parting is None else moment(parting.difference.time),
                *(value(key, each.figures[account][key], how) for key in SHORT),
            ]
        )
    heads = ["Run", "Changed", "First differs, UTC", *(label(key) for key in SHORT)]
    return section(name, f"Runs of {account}", table(heads, rows, words=3))


def _variant(found: WhatIf, outcome: Outcome, name: str) -> Markup:
    notes = [note(each) for each in (words.settings(outcome.variant), *outcome.notes)]
    partings = [_parting(each, f"{name}-p{number}") for number, each in enumerate(outcome.partings)]
    if not outcome.partings and outcome.changed:
        partings = [note("Every decision is the parent's.")]
    return tag(
        "section",
        tag("h2", outcome.variant.name, id=name),
        *notes,
        *partings,
        *_articles(found, outcome, name),
        aria_labelledby=name,
        class_="block",
    )


def _articles(found: WhatIf, outcome: Outcome, name: str) -> list[Markup]:
    """Return each changed account beside the parent's; none of a variant that is not drawn."""
    if found.parent.summary is None or outcome.summary is None or not outcome.changed:
        return []
    pairings = compare(
        _report(PARENT, found.parent.summary, outcome.changed),
        _report(outcome.variant.name, outcome.summary, outcome.changed),
    ).pairings
    return [
        article(each, PARENT, outcome.variant.name, f"{name}-{number}")
        for number, each in enumerate(pairings)
    ]


def _report(name: str, summary: Summary, accounts: tuple[str, ...]) -> Report:
    kept: tuple[AccountSummary, ...] = tuple(
        each for each in summary.accounts if each.name in accounts
    )
    return Report(RunInfo(name, name, ""), Summary(kept, summary.prices))


def _parting(parting: Parting, name: str) -> Markup:
    difference = parting.difference
    said = [note(f"First differs {words.parted(difference)}.")]
    if parting.note:
        said.append(note(parting.note))
    sides = [
        section(
            f"{name}-{run}",
            f"Why, in the {run}",
            tag("p", words.why(tree, difference)),
            folded("The whole chain, down to the trades", _tree(tree)),
        )
        for run, tree in ((PARENT, parting.parent), ("fork", parting.fork))
        if tree is not None
    ]
    return section(name, f"Where {difference.account} parts", *said, halves(*sides))


def _tree(tree: Node) -> Markup:
    place = "" if tree.place is None else f" [{'/'.join(map(str, tree.place))}]"
    below = [_tree(each) for each in (*tree.effects, *tree.causes)]
    line = tag("span", tag("b", tree.kind), f" {tree.says}{place}")
    return tag("ul", tag("li", line, join(below)))
