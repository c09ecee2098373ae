"""What the pages say of each other and of the settings holds: links, anchors, snippets."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import data
from app.config import load

ROOT = data.PACKAGE.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SETTINGS = {"kafka": "app.yaml", "app": "app.yaml", "database": "database.yaml"}


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: dict[str, int] = {}
    names = set()
    for heading in HEADING.findall(prose(page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        names.add(slug if slug not in found else f"{slug}-{found[slug]}")
        found[slug] = found.get(slug, 0) + 1
    return names


def broken(page: Path) -> Iterator[str]:
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        named = anchors(file) if anchor and file.suffix == ".md" and file.exists() else {anchor}
        if not file.exists() or anchor not in named:
            yield target


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    assert list(broken(page)) == []


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One, two\n[a](#one-two) [b](#three) [c](other.md) [d](page.md#one-two)\n")
    assert list(broken(page)) == ["#three", "other.md"]


def snippets() -> Iterator[tuple[str, str, str]]:
    for page in PAGES:
        for info, text in FENCE.findall(page.read_text()):
            language, _, kind = info.partition(" ")
            if language == "yaml" and kind:
                yield page.name, kind, text


@pytest.mark.parametrize(("page", "kind", "text"), list(snippets()))
def test_settings_that_a_page_shows_can_be_loaded(
    page: str, kind: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A block marked `yaml app`, `yaml kafka` or `yaml database` is a file as it may stand."""
    for name in [name for name in os.environ if name.startswith("LOCKSTEP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LOCKSTEP_LOCAL_DIR", str(tmp_path / "local"))
    for file in ("app.yaml", "database.yaml"):
        (tmp_path / file).write_text("")
    (tmp_path / SETTINGS[kind]).write_text(text)
    for file in re.findall(r"password_file: (\S+)", text):
        (tmp_path / file).write_text("secret")
        (tmp_path / file).chmod(0o600)
    for file in re.findall(r"(?:cafile|sslrootcert): (\S+)", text):
        make_certificate(tmp_path / file)
    assert load(tmp_path), page


def make_certificate(file: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca -keyout"
    subprocess.run(  # noqa: S603 - this file's own words
        [openssl, *words.split(), str(file.with_suffix(".key")), "-out", str(file)],
        check=True,
        capture_output=True,
    )
