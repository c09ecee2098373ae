"""Strategies of a user's own are loaded from files, folders and packages, and named when wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import app
from app.authoring import advise, bars, load_file
from app.authoring.errors import StrategyError, StrategyFailedError
from app.authoring.template import STRATEGY, filled
from app.core.events import View
from app.core.strategies import STRATEGIES
from app.core.strategies.base import Declared

ROOT = Path(app.__file__).parents[1]
DUMP = ROOT / "tests" / "data" / "XRPETH-trades-2019-10-11.csv"
INSTRUMENT = "BINANCE:XRPETH"
ACCOUNT = """
accounts:
  real:
    quote: ETH
    capital: 1000
    instruments: [BINANCE:XRPETH]
    strategies: {steady_climb: {period: 3}}
    risk: {order_notional: 300, position_notional: 500, gross_notional: 1000,
           daily_loss: 500, drawdown: 0.9, stale_after: 1h}
"""
LINE = "    average = next_ema(state.average, bar.close, parameters.period)\n"
RANGE = ', metadata=within(2, 1000, "bars the average leans on")'
WHOLE = filled(STRATEGY, "mine")


def lockstep(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose settings, and strategies, are in a folder."""
    for name in ("app.yaml", "database.yaml"):
        if not (folder / name).exists():
            (folder / name).write_text("")
    clean = {name: value for name, value in os.environ.items() if "LOCKSTEP_" not in name}
    settings = {"LOCKSTEP_CONFIG": str(folder), "LOCKSTEP_LOCAL_DIR": str(folder / "local")}
    return subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", "from app.cli import main; main()", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=clean | settings | environment,
    )


def written(folder: Path, text: str, name: str = "mine") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.py"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_new_strategy_passes_its_test_is_listed_and_replays(tmp_path: Path) -> None:
    made = lockstep(tmp_path, "strategy", "new", "steady_climb")
    assert made.returncode == 0, made.stderr
    folder = tmp_path / "strategies"
    files = [folder / "steady_climb.py", folder / "test_steady_climb.py"]
    assert made.stdout.split() == list(map(str, files))

    tested = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(files[1])],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert tested.returncode == 0, tested.stdout
    assert "4 passed" in tested.stdout

    listed = json.loads(lockstep(tmp_path, "strategy", "list", "--json").stdout)
    (mine,) = [each for each in listed if each["name"] == "steady_climb"]
    assert mine["origin"] == str(files[0])
    assert [item["name"] for item in mine["parameters"]] == ["every", "period"]
    assert {each["name"] for each in listed} == {"steady_climb", *STRATEGIES}

    (tmp_path / "app.yaml").write_text(ACCOUNT)
    words = ("replay", "--file", str(DUMP), "--instrument", INSTRUMENT, "--json")
    replayed = lockstep(tmp_path, *words, "--out", str(tmp_path / "out"))
    assert replayed.returncode == 0, replayed.stderr
    signals = (tmp_path / "out" / "signals.csv").read_text()
    assert signals.count(",steady_climb,") > 1000
    assert json.loads(replayed.stdout)["counts"]["fills"] > 0


def test_new_refuses_what_is_taken_or_no_name(tmp_path: Path) -> None:
    assert lockstep(tmp_path, "strategy", "new", "mine").returncode == 0
    for name, reason in {
        "mine": "is taken by",
        "macd": "is taken by a stage of Lockstep",
        "candles": "is taken by a stage of Lockstep",
        "sink": "is taken by a stage of Lockstep",
        "No-Name": "is no name of a strategy",
    }.items():
        done = lockstep(tmp_path, "strategy", "new", name)
        assert done.returncode in (1, 2)
        assert reason in done.stderr
        assert done.stderr.count("\n") == 1


def test_elsewhere_it_is_found_by_the_variable(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    made = lockstep(tmp_path, "strategy", "new", "mine", "--folder", str(folder))
    assert f"export LOCKSTEP_STRATEGIES={folder}" in made.stderr
    assert "mine" not in lockstep(tmp_path, "strategy", "list").stdout
    for place in (folder, folder / "mine.py"):
        listed = lockstep(tmp_path, "strategy", "list", LOCKSTEP_STRATEGIES=str(place))
        assert f"mine  ({folder / 'mine.py'})" in listed.stdout
        assert "period             50   2 to 1000" in listed.stdout


def test_a_package_offers_a_strategy(tmp_path: Path) -> None:
    package = tmp_path / "site"
    written(package, WHOLE)
    information = package / "mine-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[lockstep.strategies]\nmine = mine:STRATEGY\n")
    listed = lockstep(tmp_path, "strategy", "list", PYTHONPATH=str(package))
    assert "mine  (entry point mine (mine:STRATEGY))" in listed.stdout, listed.stderr
    (package / "mine.py").write_text("import nothing_like_it\n")
    broken = lockstep(tmp_path, "strategy", "list", PYTHONPATH=str(package))
    assert broken.returncode == 1
    assert "entry point mine (mine:STRATEGY): ModuleNotFoundError" in broken.stderr


def test_every_way_to_run_knows_its_stage_and_topic(tmp_path: Path) -> None:
    written(tmp_path / "strategies", WHOLE)
    code = (
        "from app.pipeline import STAGES; from app.runtime.topics import declared;"
        "from app.core.strategies import STRATEGIES;"
        "print([s.name for s in STAGES], 'state-mine' in declared(), list(STRATEGIES))"
    )
    environment = os.environ | {"LOCKSTEP_CONFIG": str(tmp_path)}
    environment.pop("LOCKSTEP_STRATEGIES", None)
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT,
        env=environment,
    )  # fmt: skip
    names = sorted(["mine", *STRATEGIES])
    stages = ["candles", *names, "portfolio", "allocation", "risk", "execution"]
    assert done.stdout.strip() == f"{stages} True {names}"


@pytest.mark.parametrize("name", ["macd", "risk", "market"])
def test_a_name_that_is_taken_is_refused(name: str, tmp_path: Path) -> None:
    file = written(tmp_path / "strategies", filled(STRATEGY, name), name)
    done = lockstep(tmp_path, "strategy", "list")
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {file}: the name {name!r} is taken by Lockstep's own")
    assert done.stderr.count("\n") == 1


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    first, second = written(tmp_path / "one", WHOLE), written(tmp_path / "two", WHOLE)
    both = f"{first.parent}{os.pathsep}{second.parent}"
    done = lockstep(tmp_path, "strategy", "list", LOCKSTEP_STRATEGIES=both)
    assert f"{second}: the name 'mine' is taken by {first}" in done.stderr


def test_a_place_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = lockstep(tmp_path, "strategy", "list", LOCKSTEP_STRATEGIES=str(tmp_path / "gone"))
    assert done.returncode == 1
    assert f"LOCKSTEP_STRATEGIES named {tmp_path / 'gone'}, which is not there" in done.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nothing_like_it\n", r"mine\.py, line 1 .*ModuleNotFoundError: .*nothing_like_it"),
        ("x = 1\ny = x /\n", r"mine\.py, line 2: SyntaxError: invalid syntax"),
        ("x = 1\n", r"must define STRATEGY, a Strategy named 'mine'"),
        (WHOLE.replace('"mine"', '"other"'), r"a Strategy named 'mine', but"),
        (WHOLE.replace("default=50", "default='high'"), r"period must have a number as its def"),
        (WHOLE.replace("default=50", "default=1"), r"default 1, outside its own range from 2"),
        (WHOLE.replace(RANGE, ""), r"period must be a field with within"),
        (WHOLE.replace("Ema = field(default=Ema())", 'str = "none"'), r"state can't be stored"),
        (WHOLE.replace("4 * parameters.period", "1 / 0"), r"warmup failed for the defaults"),
        (WHOLE.replace("4 * parameters.period", "2.5"), r"warmup returned 2\.5"),
    ],
)  # fmt: skip
def test_what_can_not_be_loaded_is_named(text: str, reason: str, tmp_path: Path) -> None:
    file = written(tmp_path, text)
    with pytest.raises(StrategyError, match=reason) as caught:
        load_file(file)
    assert str(file) in str(caught.value)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (LINE, "    1 / 0\n", "ZeroDivisionError: division by zero"),
        (LINE, "    helped(bar)\n", "ValueError: helped"),
        ('{"average": average.value}', '{"average": float("nan")}', "indicator average was 'nan'"),
        ('{"average": average.value}', '{"a b": 1.0}', "the name of an indicator was 'a b'"),
        ('{"average": average.value}', '{"average": "high"}', "must be real number"),
        ("view = View.LONG if bar.close > average.value else View.FLAT", 'view = "long"',
         "the view was 'long', must be one of View"),
        ("return after, Advice(view, reason,", "return after, (view, reason,",
         "must return an Advice beside the state"),
        ("return after, Advice(view, reason,", "return Advice(view, reason,",
         "must return the new state and an Advice"),
        ("after = MineState(average)", "after = average", "a state of type Ema, must be MineState"),
        ("after = MineState(average)", 'after = MineState(Ema(float("inf")))',
         "in the state was (inf,), must be finite"),
    ],
)  # fmt: skip
def test_what_fails_on_a_bar_is_named_with_line_and_time(
    old: str, new: str, reason: str, tmp_path: Path
) -> None:
    assert old in WHOLE
    helper = "def helped(bar):\n    raise ValueError('helped')\n\n\ndef update("
    text = WHOLE.replace(old, new).replace("def update(", helper)
    file = written(tmp_path, text)
    strategy = load_file(file)
    with pytest.raises(StrategyFailedError, match=re.escape(reason)) as caught:
        advise(strategy, {"period": "2"}, bars([100.0, 101.0, 102.0]))
    sentence = str(caught.value)
    assert caught.value.exit_code == 70
    assert re.search(
        r"strategy mine failed on the bar that ended at 2019-10-11T00:0\d:00Z", sentence
    )
    (number,) = re.findall(re.escape(str(file)) + r", line (\d+)", sentence)
    line = text.splitlines()[int(number) - 1]
    assert line.strip() in (new.strip(), "raise ValueError('helped')", "def update(")


def test_a_failing_bar_ends_a_replay_with_one_sentence(tmp_path: Path) -> None:
    text = filled(STRATEGY, "steady_climb").replace(LINE, "    1 / 0\n")
    file = written(tmp_path / "strategies", text, "steady_climb")
    (tmp_path / "app.yaml").write_text(ACCOUNT)
    words = ("replay", "--file", str(DUMP), "--instrument", INSTRUMENT)
    done = lockstep(tmp_path, *words)
    assert done.returncode == 70
    assert done.stderr.count("\n") == 1
    assert re.match(
        rf"Error: strategy steady_climb failed on the bar .* in {file}, line", done.stderr
    )
    told = lockstep(tmp_path, "--traceback", *words)
    assert "Traceback" in told.stderr


def test_whole_numbers_become_floats_in_a_signal(tmp_path: Path) -> None:
    text = WHOLE.replace('{"average": average.value}', '{"average": 3}')
    said = advise(load_file(written(tmp_path, text)), {"period": "2"}, bars([1.0, 2.0, 3.0]))
    assert said[-1].indicators == {"average": 3.0}
    assert type(said[-1].indicators["average"]) is float
    assert said[-1].view is View.LONG


def test_parameters_are_listed_for_whoever_searches() -> None:
    told = STRATEGIES["momentum"].declared()
    assert [item.name for item in told] == ["every", "lookback", "entry", "exit"]
    assert told[1] == Declared("lookback", True, 60, 1, 1440, "bars the return is taken over")
    assert not told[2].whole


def test_the_documented_strategy_is_what_new_writes() -> None:
    page: Any = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert example == filled(STRATEGY, "trend")
