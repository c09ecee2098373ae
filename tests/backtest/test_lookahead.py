"""Strategies that look ahead, in whatever way, are caught by name; honest ones are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import app
from app.backtest.lookahead import CHANCE, MEMORY, explained
from app.backtest.trace import Place, Row
from tests.replay.test_ring import DAY

CHECKOUT = Path(app.__file__).parent.parent
STRATEGIES = Path(__file__).parent / "strategies"
MAIN = "import sys; from app.cli import run\nif __name__ == '__main__': sys.exit(run(sys.argv[1:]))"


def check(
    strategy: str, *words: str, cuts: int = 2, setting: str = ""
) -> tuple[int, dict[str, Any], str]:
    """Return the exit code, the JSON document and what was said of it."""
    command = [sys.executable, "-c", MAIN, "check-lookahead", str(DAY), "--json", *words]
    command += ["--cuts", str(cuts), "--set"]
    command += [f"accounts.paper.strategies={setting or f'{{{strategy}: {{}}}}'}"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT),
        "LOCKSTEP_STRATEGIES": str(STRATEGIES / f"{strategy}.py"),
        "PEEK": str(DAY),
    }
    done = subprocess.run(  # noqa: S603 - our own code
        command, capture_output=True, text=True, env=environment, check=False
    )
    return done.returncode, json.loads(done.stdout), done.stderr


HALF_AN_HOUR = ("--from", "2019-10-11T12:00Z", "--to", "2019-10-11T12:30Z")


@pytest.mark.parametrize(
    ("strategy", "kind", "field"),
    [
        ("peeking", "looks ahead", "view"),
        ("reading", "looks ahead", "indicators.length"),
        ("centred", "looks ahead", "view"),
        ("normalised", "looks ahead", "indicators.score"),
        ("outliving", "remembers another run", "view"),
        ("guessing", "is not the same twice", "indicators.thrown"),
        ("timing", "is not the same twice", "indicators.now"),
        ("ordering", "is not the same twice", "reason"),
    ],
)
def test_a_cheat_is_caught_by_name_time_and_field(strategy: str, kind: str, field: str) -> None:
    code, verdict, error = check(strategy, *HALF_AN_HOUR)
    finding = verdict["finding"]
    assert code == 1, error
    assert (finding["kind"], finding["stage"]) == (kind, strategy)
    assert finding["name"].startswith(f"{strategy}/BINANCE:XRPETH/paper/")
    assert finding["field"] == field
    assert f"Error: {strategy} {kind}: " in error
    if kind == "looks ahead":
        assert finding["time"] <= finding["cut"]
        assert finding["cut"] in verdict["cuts"]


def test_chance_that_falls_alike_when_made_again_is_named_too() -> None:
    record = b'{"id":"coin/BINANCE:XRPETH/paper/7","view":"long"}'
    place = Place(60_000, Row("signals", "coin", "BINANCE:XRPETH", "paper"))
    finding = explained(MEMORY, place, [record], [record])
    assert (finding.kind, finding.stage, finding.name) == (
        CHANCE,
        "coin",
        "coin/BINANCE:XRPETH/paper/7",
    )
    assert finding.field == ""


def test_one_that_fails_without_what_comes_later_is_caught() -> None:
    code, verdict, error = check("demanding", *HALF_AN_HOUR, cuts=1)
    assert code == 1, error
    assert verdict["finding"]["stage"] == "demanding"
    assert "it failed (" in error
    assert "IndexError: list index out of range" in error


def test_honest_ones_pass_and_tell_their_warm_up() -> None:
    words = ("--from", "2019-10-11T08:00Z", "--to", "2019-10-11T15:50Z")
    setting = "{macd: {}, momentum: {}, counting: {}}"
    code, verdict, error = check("counting", *words, setting=setting)
    assert (code, verdict["finding"], len(verdict["cuts"])) == (0, None, 2), error
    assert verdict["decisions"] > 470 * 6
    assert len(verdict["starts"]) == 3
    slow = {(each["strategy"], each["field"]): each for each in verdict["slow"]}
    assert slow["counting", "indicators.bars"]["needed"] is None
    assert not any(strategy == "macd" for strategy, _ in slow)
