"""What the check for look-ahead says of what it found."""

from __future__ import annotations

import pytest

from app.backtest.lookahead import CHANCE, LATER, MEMORY, Finding, Slow
from app.cli import run
from app.commands.check_lookahead import sentence, slow_lines

TIME = 1_570_752_060_000


@pytest.mark.parametrize(
    ("finding", "said"),
    [
        (
            Finding(LATER, "trend", TIME, field="view", cut=TIME + 5_000),
            (
                "trend looks ahead: with the input cut after 2019-10-11T00:01:05Z, what it decided "
                "at 2019-10-11T00:01:00Z is another (view)."
            ),
        ),
        (
            Finding(LATER, "", TIME, cut=TIME, failure="KeyError: 3"),
            (
                "something looks ahead: with the input cut after 2019-10-11T00:01:00Z it failed "
                "(KeyError: 3)."
            ),
        ),
        (
            Finding(CHANCE, "trend", TIME),
            (
                "trend is not the same twice: at 2019-10-11T00:01:00Z a second run of the same "
                "input decided otherwise, so it takes the time, chance, or the order of a set."
            ),
        ),
        (
            Finding(MEMORY, "trend", TIME),
            (
                "trend remembers another run: at 2019-10-11T00:01:00Z a second run of the same "
                "input decided otherwise, so something outlives a run, as a global or a class does."
            ),
        ),
    ],
)
def test_a_finding_is_one_sentence(finding: Finding, said: str) -> None:
    assert sentence(finding) == said


def test_of_each_strategy_and_field_the_slowest_is_told() -> None:
    slow = [Slow("a", "trend", "X", "view", TIME, 10, needed) for needed in (12, None, 4_000)] + [
        Slow("a", "trend", "Y", "indicators.x", TIME, 10, 4_000)
    ]
    assert slow_lines(slow) == [
        (
            "trend: after a start at 2019-10-11T00:01:00Z indicators.x took 4,000 base intervals "
            "to agree on Y; the strategy declares 10 to warm up."
        ),
        (
            "trend: after a start at 2019-10-11T00:01:00Z view took longer than the data to agree "
            "on X; the strategy declares 10 to warm up."
        ),
    ]


def test_refuses_what_a_backtest_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check-lookahead"]) == 2
    assert "there is nothing to run" in capsys.readouterr().err
