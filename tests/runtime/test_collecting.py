"""What was there is looked at no more; what comes after it is still collected."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from app.runtime.collecting import YOUNG, settle


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


class Knot:
    def __init__(self) -> None:
        self.itself = self


def test_a_full_collection_looks_only_at_what_came_after() -> None:
    before = len(gc.get_objects())
    settle()
    assert gc.get_freeze_count() > before // 2
    assert len(gc.get_objects()) < before // 2
    assert gc.get_threshold()[0] == YOUNG


def test_what_comes_after_is_still_let_go() -> None:
    settle()
    knot = weakref.ref(Knot())
    gc.collect()
    assert knot() is None
