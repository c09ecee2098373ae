"""A fork: nothing changed is the parent itself; something changed parts where it acts."""

from __future__ import annotations

import copy

import pytest

from app.forks.whatif_tables import Tables
from app.replay.play import Span
from app.storage.database import DatabaseSettings
from tests.forks.recorded import after, by_name, memory, moments, open_at, went_on
from tests.replay.market import INTERVAL
from tests.replay.test_from_topics import replayed


@pytest.fixture(autouse=True)
def _snapshots_at_every_third_decision_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.runtime.stage.DAY", 3 * INTERVAL)


@pytest.mark.parametrize(("seed", "count"), [(0, 20), (1, 8)])
async def test_unchanged_it_is_its_parent_from_random_moments_on(seed: int, count: int) -> None:
    source = await memory(seed)
    derived = source.run.derived()
    began, working = set(), 0
    for time in moments(seed, count):
        point, made = await went_on(source, time)
        found = by_name(made)
        assert found == after(point.cut, derived)
        assert found.items() >= (await replayed(source.run, Span(time))).items()
        began.add(point.began)
        working += bool(open_at(time, derived))
    assert len(began) > count // 4
    assert working > count // 4


def test_tables_handed_to_another_process_are_reached_as_safely() -> None:
    settings = DatabaseSettings("fork.example", 5432, "tsdb", "tsdbadmin", "pw", ssl="require")
    assert copy.copy(Tables(settings)) == Tables(settings)  # by what pickle goes by, too
