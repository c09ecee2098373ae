"""What several seeds left adds up, and says which kinds were rare and which seeds failed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.faults.campaign import Outcome
from tests.faults.oracle import Findings
from tests.faults.report import Report


def outcome(**fields: object) -> Outcome:
    found = Findings(compared=Counter(candles=5), repeats=2)
    made = Outcome(injected=Counter({"worker killed": 2}), findings=found, exits=Counter({-9: 2}))
    made.lasted["worker killed"] += [1.0, 3.0]
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def test_reports_go_through_their_files_and_add_up(tmp_path: Path) -> None:
    total = Report()
    for seed, made in enumerate([outcome(), outcome(damage=["a topic"]), outcome(stuck="late")]):
        folder = tmp_path / str(seed)
        folder.mkdir()
        Report.of(seed, made).write(folder)
        total += Report.read(seed, folder)
    total += Report.read(3, tmp_path / "3")
    assert (total.passed, total.failed) == ([0], [1, 2, 3])
    assert total.injected == {"worker killed": 6}
    assert total.exits == {"-9": 6}
    said = "\n".join(total.lines(["worker killed", "broker killed"], 6))
    assert "     6      2.0  worker killed" in said
    assert "fewer than 6 times: broker killed" in said
    assert "failed seeds: 1, 2, 3" in said
    assert "15 records compared, 0 lost, 0 doubled, 0 different (6 repeats" in said


def test_rare_kinds_are_told_with_what_is_missing() -> None:
    report = Report(injected=Counter({"a": 5, "b": 2}))
    assert report.rare(["a", "b", "c"], 5) == {"b": 3, "c": 5}
