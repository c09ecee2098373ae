"""Rows enter; tables, folded tables and sections leave, all of one look."""

from __future__ import annotations

from collections.abc import Sequence

from app.core.metrics import DEFINITIONS, Figure
from app.report.markup import Child, Markup, join, tag
from app.report.numbers import Money, exact, figure

Row = Sequence[Child]


def table(
    heads: Sequence[Child], rows: Sequence[Row], words: int = 1, *, tight: bool = False
) -> Markup:
    """Return a table that scrolls by itself where it is too wide.

    Args:
        heads: Of the columns.
        rows: Cells; each row as long as `heads`.
        words: How many columns from the left are words, the others are numbers.
        tight: Whether it is small and nothing in it wraps.
    """
    head = tag("tr", *(_cell("th", cell, at, words, "col") for at, cell in enumerate(heads)))
    body = [
        tag("tr", *(_cell("th" if at == 0 else "td", cell, at, words, "row" if at == 0 else None)
                    for at, cell in enumerate(row)))
        for row in rows
    ]  # fmt: skip
    return tag(
        "div",
        tag("table", tag("thead", head), tag("tbody", *body), class_="tight" if tight else None),
        class_="scroll",
    )


def folded(summary: str, content: Markup) -> Markup:
    """Return content that a click shows."""
    return tag("details", tag("summary", summary), content)


def section(name: str, title: str, *content: Child) -> Markup:
    """Return a section under a heading; `name` is unique on the page."""
    return tag("section", tag("h3", title, id=name), *content, class_="block")


def halves(*sections: Markup) -> Markup:
    """Return sections side by side where there is room."""
    return tag("div", *sections, class_="halves")


def note(words: Child) -> Markup:
    """Return a line of explanation."""
    return tag("p", words, class_="note")


def label(key: str, words: str | None = None) -> Markup:
    """Return a figure's name with its formula on hover, linked to its definition."""
    definition = DEFINITIONS[key]
    title = definition.formula + (f" [{definition.source}]" if definition.source else "")
    return tag("a", words or definition.label, href=f"#def-{key}", title=title, class_="def")


def value(key: str, found: Figure, money: Money) -> Markup:
    """Return a figure with every digit on hover; or a dash with its reason."""
    words = figure(DEFINITIONS[key], found, money)
    if found.value is None:
        hidden = tag("span", f" ({found.reason})", class_="sr")
        return tag("span", join([words, hidden]), title=exact(found), class_="none")
    return tag("span", words, title=exact(found))


def _cell(name: str, cell: Child, at: int, words: int, scope: str | None) -> Markup:
    return tag(name, cell, class_=None if at < words else "n", scope=scope)
