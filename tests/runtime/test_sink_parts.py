"""A batch of the sink is cut into transactions that are neither long nor many."""

from __future__ import annotations

import pytest

from app.runtime import sink
from app.runtime.ports import Stored


def stored(offset: int, size: int) -> Stored:
    return Stored("trades", 0, offset, b"X:Y", bytes(size))


@pytest.mark.parametrize(
    ("sizes", "counts"),
    [
        ([], []),
        ([1] * 7, [3, 3, 1]),
        ([1, 9, 1, 1, 1], [2, 3]),
        ([20, 20], [1, 1]),
        ([9, 1, 1, 1], [2, 2]),
    ],
)
def test_parts_are_bounded_by_records_and_by_bytes(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], counts: list[int]
) -> None:
    monkeypatch.setattr(sink, "MOST_RECORDS", 3)
    monkeypatch.setattr(sink, "MOST_BYTES", 10)
    batch = [stored(number, size) for number, size in enumerate(sizes)]
    found = list(sink.parts(batch))
    assert [len(part) for part in found] == counts
    assert [each for part in found for each in part] == batch
