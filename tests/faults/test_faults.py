"""A short schedule on the broker and database at hand; and the same test on a stage made unsafe."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from tests.faults import site
from tests.faults.campaign import run, schedule
from tests.faults.endings import ENDINGS, POISON
from tests.faults.kinds import KINDS
from tests.faults.on_workers import killed_at
from tests.faults.points import Points
from tests.faults.servers import NEEDED

SHORT = (
    "exchange skips trades",
    "COMMIT's answer lost",
    "worker killed after outputs before state",
    "database connections killed",
    "exchange cuts connections",
    "database deadlock",
    "database full",
    "foreign bytes on signals",
    "worker's clock steps by hours",
    "worker's step raises",
)
STRUCK = ("candles killed after ack", partial(killed_at, point="after ack", stage="candles"))


@pytest.fixture
def servers() -> None:
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        pytest.skip(f"needs a real broker and database: set {', '.join(missing)}, as ./run test")


@pytest.mark.integration
@pytest.mark.timeout(600)
async def test_a_pipeline_struck_at_work_loses_and_doubles_nothing(
    servers: None,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    faults = [(kind, KINDS[kind]) for kind in SHORT] + [STRUCK]
    outcome = await run(1, faults, tmp_path / "logs", ending=(POISON, ENDINGS[POISON]))
    assert outcome.stuck == ""
    assert outcome.settled
    assert outcome.missed == {}
    assert set(outcome.injected) == {POISON, *(kind for kind, _ in faults)}
    assert outcome.damage == []
    assert outcome.findings is not None
    assert (outcome.findings.lost, outcome.findings.doubled) == ([], [])
    assert outcome.findings.different == []
    # Repeats show that the kills left something to skip; every topic had something to compare.
    assert outcome.findings.repeats > 0
    assert all(outcome.findings.compared[topic] > 40 for topic in site.DERIVED)
    assert outcome.findings.compared["table fills"] > 40


@pytest.mark.integration
@pytest.mark.timeout(600)
async def test_with_faust_s_own_acks_in_one_stage_records_are_lost(
    servers: None,  # noqa: ARG001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(site, "PATIENCE", 60.0)  # what it loses, the rest waits for in vain
    # Thrice, because an ack may come just when memory holds nothing; the first loss ends it.
    outcome = await run(1, [STRUCK] * 3, tmp_path / "logs", PLAIN="candles")
    assert outcome.injected.keys() == {STRUCK[0]}
    assert outcome.settled  # so nothing was only late
    assert outcome.findings is not None
    assert any(each.startswith("candles: ") for each in outcome.findings.lost)


def test_seeds_in_a_row_use_every_kind_equally_often() -> None:
    kinds = list(KINDS)
    drawn = [kind for seed in range(len(kinds)) for kind in schedule(seed, 10, kinds)]
    assert {drawn.count(kind) for kind in kinds} == {10}
    assert schedule(3, 10, kinds) == schedule(3, 10, kinds)


@pytest.mark.parametrize(
    "text",
    ["", "nowhere#1", "after claim", "stop after claim#1", "raise after claim#1", "in a step#1"],
)
def test_an_order_that_names_no_point_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="was no order"):
        Points({"CRASH": text})


def test_a_point_falls_due_at_its_stage_and_count(tmp_path: Path) -> None:
    orders = tmp_path / "orders"
    points = Points({"ORDERS": str(orders)})
    assert not points.due("after ack", "risk")
    orders.write_text("risk: after ack#2")
    assert not points.due("after ack", "candles")
    assert not points.due("before outputs", "risk")
    assert not points.due("after ack", "risk")
    assert not orders.exists()
    assert points.due("after ack", "risk")
