"""The definitions of the figures enter; the list that every figure links to leaves."""

from __future__ import annotations

from app.core.metrics import DEFINITIONS
from app.report.markup import Markup, tag
from app.report.sections.table import note, section


def definitions() -> Markup:
    """Return every figure's formula and source."""
    entries = [
        tag(
            "div",
            tag("dt", each.label, id=f"def-{each.key}"),
            tag("dd", each.formula, *([tag("cite", f" {each.source}.")] if each.source else [])),
        )
        for each in DEFINITIONS.values()
    ]
    words = (
        "Money is exact; shown texts are rounded half-even, and a figure's title has every digit. "
        "A dash stands for a figure that is not defined, with the reason in its title."
    )
    return section("definitions", "Definitions", note(words), tag("dl", *entries, class_="defs"))
