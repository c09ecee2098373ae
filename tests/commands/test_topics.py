"""A record is a line: cut where a terminal ends, whole everywhere else."""

from __future__ import annotations

import pytest

from app.commands.topics import cut


@pytest.mark.parametrize(
    ("line", "width", "wanted"),
    [("abcdef", None, "abcdef"), ("abcdef", 6, "abcdef"), ("abcdef", 4, "abc…"), ("", 4, "")],
)
def test_a_line_is_cut_to_the_width(line: str, width: int | None, wanted: str) -> None:
    assert cut(line, width) == wanted
