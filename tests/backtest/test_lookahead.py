"""Strategies that look ahead, in whatever way, are caught by name; honest ones are not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import app
from tests.replay.test_ring import DAY

PACKAGE = Path(app.__file__).parent
CHEATS = Path(__file__).parent / "strategies"
MAIN = "import sys; from app.cli import run\nif __name__ == '__main__': sys.exit(run(sys.argv[1:]))"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the package, its own strategies and the cheats."""
    folder = tmp_path_factory.mktemp("checkout")
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, folder / "app", ignore=skipped, copy_function=os.symlink)
    shutil.copytree(PACKAGE.parent / "deploy" / "config", folder / "deploy" / "config")
    for cheat in CHEATS.glob("*.py"):
        (folder / "app" / "core" / "strategies" / cheat.name).symlink_to(cheat)
    return folder


def check(
    checkout: Path, *words: str, strategy: str = "", cuts: int = 2, file: Path = DAY
) -> tuple[int, dict[str, Any], str]:
    """Return the exit code, the JSON document and what was said of it."""
    command = [sys.executable, "-c", MAIN, "check-lookahead", str(file), "--json"]
    command += ["--cuts", str(cuts), *words]
    if strategy:
        command += ["--set", f"accounts.paper.strategies={{{strategy}: {{}}}}"]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PEEK": str(file)}
    done = subprocess.run(  # noqa: S603 - our own code
        command, capture_output=True, text=True, env=environment, check=False, cwd=checkout
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
        ("guessing", "is not the same twice", "view"),
        ("timing", "is not the same twice", "indicators.now"),
        ("ordering", "is not the same twice", "reason"),
    ],
)
def test_a_cheat_is_caught_by_name_time_and_field(
    checkout: Path, strategy: str, kind: str, field: str
) -> None:
    code, verdict, error = check(checkout, *HALF_AN_HOUR, strategy=strategy)
    finding = verdict["finding"]
    assert code == 3, error
    assert (finding["kind"], finding["stage"]) == (kind, strategy)
    assert finding["name"].startswith(f"{strategy}/BINANCE:XRPETH/paper/")
    assert finding["field"] == field
    assert f"Error: {strategy} {kind}: " in error
    if kind == "looks ahead":
        assert finding["time"] <= finding["cut"]
        assert finding["cut"] in verdict["cuts"]


def test_the_strategies_that_come_with_it_pass_and_tell_their_warm_up(checkout: Path) -> None:
    words = ("--from", "2019-10-11T08:00Z", "--to", "2019-10-11T15:50Z")
    setting = ("--set", "accounts.paper.strategies={macd: {}, momentum: {}, counting: {}}")
    code, verdict, error = check(checkout, *words, *setting, cuts=2)
    assert (code, verdict["finding"], len(verdict["cuts"])) == (0, None, 2), error
    assert verdict["decisions"] > 470 * 6
    assert len(verdict["starts"]) == 3
    slow = {(each["strategy"], each["field"]): each for each in verdict["slow"]}
    assert slow["counting", "indicators.bars"]["needed"] is None
    assert not any(strategy == "macd" for strategy, _ in slow)
