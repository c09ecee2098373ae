"""A thousand schedules: nothing lost, doubled or changed, every point hit, each rule needed."""

from __future__ import annotations

import pytest

from app.runtime import wire_reading
from tests.simulation.campaign import Campaign, explore
from tests.simulation.explore import run_seed
from tests.simulation.rules import COVERED, REMOVED, objecting
from tests.simulation.tape import shrink

pytestmark = pytest.mark.timeout(900)  # a thousand schedules, on a machine that may be busy

SCHEDULES = 1000
RULE_SEEDS = 300
COVERED_SEEDS = 40
ARRAY_SEEDS = 20


@pytest.fixture(scope="module")
def campaign() -> Campaign:
    return explore(0, SCHEDULES, processes=2)


def test_no_schedule_loses_doubles_or_changes_a_record(campaign: Campaign) -> None:
    commands = [f"python -m tests.simulation --seed {seed}" for seed in campaign.failed]
    assert campaign.failed == {}, commands
    assert campaign.schedules == SCHEDULES


def test_every_point_was_hit_by_every_fault_and_recovered_from(campaign: Campaign) -> None:
    assert campaign.missed() == []


def test_the_schedules_are_not_vacuous(campaign: Campaign) -> None:
    assert campaign.repeats > 0
    for event in (
        "batches handed over after a revocation",
        "clean stops",
        "commits fenced",
        "commits tried again",
        "compactions",
        "databases restored",
        "effects of the dead",
        "ended by BrokenError",
        "ended by CommitError",
        "ended by HoleError",
        "ended by LostInputError",
        "ended by StateError",
        "ended by StepError",
        "partitions truncated",
        "rebalances",
        "takes cancelled",
        "zombies that found out",
        "zombies woken",
    ):
        assert campaign.events.get(event, 0) > 0, event


def test_a_seed_is_one_history_in_every_process(campaign: Campaign) -> None:
    assert campaign.differed == []
    assert campaign.again == SCHEDULES // 20


def test_columns_as_arrays_make_the_same_history(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = range(ARRAY_SEEDS)
    histories = [run_seed(seed).history for seed in seeds]
    # The market has no record of so many trades as make a column an array.
    monkeypatch.setattr(wire_reading, "MANY", 1)
    monkeypatch.setattr(wire_reading, "LONG", 1)
    assert [run_seed(seed).history for seed in seeds] == histories


@pytest.mark.parametrize("rule", [rule for rule in REMOVED if rule not in COVERED])
def test_some_seed_objects_when_a_rule_is_taken_out(rule: str) -> None:
    assert objecting(rule, RULE_SEEDS) is not None


@pytest.mark.parametrize("rule", COVERED)
def test_a_second_line_is_needed_once_its_cover_is_gone(rule: str) -> None:
    cover = COVERED[rule]
    assert objecting(rule, COVERED_SEEDS) is None
    assert objecting(rule, COVERED_SEEDS, cover.alone) is None
    assert objecting(rule, RULE_SEEDS, cover.both) is not None


def test_a_failing_seed_replays_from_its_choices_and_shrinks() -> None:
    parts = REMOVED["committed up to the oldest needed"]
    outcome = next(o for o in (run_seed(s, parts) for s in range(100)) if o.wrong)
    assert run_seed(outcome.seed, parts, outcome.drawn).history == outcome.history

    def fails(drawn: list[int]) -> bool:
        return bool(run_seed(outcome.seed, parts, drawn).wrong)

    least = shrink(outcome.drawn, fails, tries=60)
    assert fails(least)
    assert sum(map(bool, least)) < sum(map(bool, outcome.drawn)) // 2
