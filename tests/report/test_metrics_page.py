"""docs/metrics.md has every figure as the code defines it, and every field of the document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.core.metrics import DEFINITIONS
from app.report import Report, document
from app.report.csv_files import FILES

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("key", DEFINITIONS)
def test_the_page_has_the_figure(key: str) -> None:
    each = DEFINITIONS[key]
    formula = each.formula.replace("|", "\\|")
    assert f"| {each.label} | `{key}` | {each.unit} | {formula} | {each.source} |" in PAGE


def test_the_page_has_every_field_and_file(ring: Report) -> None:
    content = json.loads(document(ring))
    for name in (*content, *content["accounts"][0], *content["instruments"][0]):
        assert f"`{name}`" in PAGE, name
    for name in FILES:
        assert f"`{name}`" in PAGE, name
