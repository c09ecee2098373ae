"""The page stands alone, is well formed, accessible, escaped, and the same bytes every time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

from app.core.metrics import DEFINITIONS
from app.report import Report, compare, comparison_document, comparison_page, document, page
from tests.report.conftest import HOSTILE, INFO, drawn
from tests.report.runs import unmoved

ROOT = Path(__file__).parents[2]
VOID = {"meta", "link", "br", "hr", "col"}
AGAIN = """
import hashlib
from app.report import Report, compare, comparison_document, comparison_page, document, page
from tests.report.conftest import INFO, drawn
first, second = Report(INFO, drawn(5, 300)), Report(INFO, drawn(6, 300))
both = compare(first, second)
for form in (page(first), document(first), comparison_page(both), comparison_document(both)):
    print(hashlib.sha256(form).hexdigest())
"""


@dataclass
class Reader(HTMLParser):
    """Every element with its attributes; fails on one that is not closed in its place."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(html: bytes) -> Reader:
    reader = Reader()
    reader.feed(html.decode())
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def pages(year: Report, ring: Report) -> dict[str, bytes]:
    return {
        "year": page(year),
        "ring": page(ring),
        "flat": page(Report(INFO, unmoved())),
        "comparison": comparison_page(compare(year, Report(INFO, drawn(6)))),
    }


@pytest.mark.parametrize("name", ["year", "ring", "flat", "comparison"])
def test_a_page_asks_for_nothing_and_runs_nothing(pages: dict[str, bytes], name: str) -> None:
    html = pages[name].decode()
    assert "http:" not in html
    assert "https:" not in html
    assert not re.search(r"url\(|@import|@font-face", html)
    for tag, attributes in read(pages[name]).elements:
        assert tag not in ("img", "iframe", "object", "embed", "base")
        if tag == "script":
            assert attributes == {"type": "application/json", "id": "document"}
        assert not any(key.startswith("on") or key == "src" for key in attributes)
        if tag == "link":
            assert attributes == {"rel": "icon", "href": "data:,"}


@pytest.mark.parametrize("name", ["year", "ring", "flat", "comparison"])
def test_names_on_a_page_are_unique_and_links_lead_somewhere(
    pages: dict[str, bytes], name: str
) -> None:
    elements = read(pages[name]).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len({*ids})
    for _, attributes in elements:
        target = attributes.get("href", "")
        if target.startswith("#"):
            assert target[1:] in ids
        for label in attributes.get("aria-labelledby", "").split():
            assert label in ids


@pytest.mark.parametrize("name", ["year", "ring", "comparison"])
def test_every_chart_has_title_and_description(pages: dict[str, bytes], name: str) -> None:
    html = pages[name].decode()
    charts = re.findall(r"<svg[^>]*role=\"img\".*?</svg>", html)
    assert len(charts) >= (1 if name == "comparison" else 9)
    for chart in charts:
        assert re.search(r"<title id=[^>]*>[^<]+</title><desc id=[^>]*>[^<]+</desc>", chart)
        assert not re.search(r"nan|inf[ \"]", chart)
    others = [each for each in re.findall(r"<svg[^>]*>", html) if 'role="img"' not in each]
    assert all('aria-hidden="true"' in each for each in others)


def test_foreign_text_is_text(pages: dict[str, bytes]) -> None:
    assert pages["year"].count(b"<script") == pages["year"].count(b"</script") == 1
    assert HOSTILE in "".join(read(pages["year"]).text)
    assert "<title>Backtest &lt;script&gt;" in pages["year"].decode()


def test_a_page_holds_its_data(year: Report, pages: dict[str, bytes]) -> None:
    comparison = comparison_document(compare(year, Report(INFO, drawn(6))))
    for name, whole in (("year", document(year)), ("comparison", comparison)):
        (found,) = re.findall(rb'<script type="application/json" id="document">(.*?)<', pages[name])
        assert json.loads(found) == json.loads(whole)


def test_every_figure_is_there_with_its_formula(pages: dict[str, bytes]) -> None:
    titles = [
        attributes.get("title", "")
        for tag, attributes in read(pages["year"]).elements
        if tag == "a" and attributes.get("class") == "def"
    ]
    for definition in DEFINITIONS.values():
        assert any(title.startswith(definition.formula) for title in titles), definition.key
        assert f'id="def-{definition.key}"' in pages["year"].decode()


def test_what_is_not_defined_is_a_dash_with_its_reason(pages: dict[str, bytes]) -> None:
    html = pages["flat"].decode()
    dash = '<span title="Not defined: no round trip was closed." class="none">\u2013'
    assert dash in html
    assert "None" not in html
    assert "nan" not in "".join(read(pages["flat"]).text).split()


def test_figures_are_exact_on_hover(year: Report, pages: dict[str, bytes]) -> None:
    profit = year.summary.accounts[0].figures["profit"].value
    assert f'title="{profit:f}"' in pages["year"].decode()


def test_the_same_run_is_the_same_bytes_in_another_process() -> None:
    """Whatever the order of sets there."""
    command = [sys.executable, "-c", AGAIN]
    runs = [
        subprocess.Popen(  # noqa: S603 - our own code
            command,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    outputs = [run.communicate()[0] for run in runs]
    assert outputs[0] == outputs[1]
    assert len(outputs[0].split()) == 4


def test_a_page_grows_little_with_the_run(year: Report, pages: dict[str, bytes]) -> None:
    """1,600 decision times; the curves have as many points as a chart has pixels."""
    assert len(pages["year"]) < 600_000
    assert len(document(year)) < 1_000_000
