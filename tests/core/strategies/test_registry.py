"""Strategies register by being a module, and hold their parameters to what they declare."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import app
from app.core.events import View
from app.core.strategies import STRATEGIES
from app.core.strategies.base import ParameterError, Range
from app.core.strategies.memory import pack, unpack
from tests.core.strategies.helpers import bars

ROOT = Path(app.__file__).parents[1]
EVERY = pytest.mark.parametrize("name", list(STRATEGIES))

ADDED = """
from dataclasses import dataclass
from app.core.events import View
from app.core.strategies.base import Advice, Parameters, Strategy

@dataclass(frozen=True, slots=True)
class Nothing:
    pass

STRATEGY = Strategy("{name}", Parameters, Nothing,
                    lambda p, s, b: (s, Advice(View.FLAT, "always")), lambda p: 1)
"""


def load_with(module: str, text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Print the registry's names in a process whose strategies have one more folder."""
    (folder / f"{module}.py").write_text(text, encoding="utf-8")
    code = (
        "import importlib.machinery, sys, pkgutil;"
        "real = pkgutil.iter_modules;"
        "pkgutil.iter_modules = lambda path: (path.append(sys.argv[1]), real(path))[1];"
        "from app.core.strategies import STRATEGIES; print(list(STRATEGIES))"
    )
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)  # noqa: S603 - our own code


def test_names_are_sorted_and_known() -> None:
    assert list(STRATEGIES) == sorted(STRATEGIES)
    assert {"macd", "momentum"} <= STRATEGIES.keys()


def test_the_documented_strategy_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    done = load_with("trend", example, tmp_path)
    assert "'trend'" in done.stdout
    module = ModuleType("trend")
    monkeypatch.setitem(sys.modules, "trend", module)
    exec(compile(example, "trend.py", "exec", dont_inherit=True), vars(module))  # noqa: S102 - our own page
    strategy = vars(module)["STRATEGY"]
    state, views = strategy.state(), []
    for bar in bars([100.0, 101.0, 102.0, 90.0]):
        state, advice = strategy.update(strategy.parse({"period": "2"}), state, bar)
        views.append(advice.view)
    assert views == [View.NOT_READY, View.LONG, View.LONG, View.FLAT]
    assert unpack(strategy.state, pack(state)) == state


def test_a_file_is_a_strategy(tmp_path: Path) -> None:
    done = load_with("always", ADDED.format(name="always"), tmp_path)
    assert done.stdout.strip() == str(sorted(["always", *STRATEGIES]))


@pytest.mark.parametrize("text", ["", ADDED.format(name="other")])
def test_a_file_without_its_strategy_is_refused(text: str, tmp_path: Path) -> None:
    done = load_with("always", text, tmp_path)
    assert done.returncode == 1
    assert "app/core/strategies/always.py must define STRATEGY" in done.stderr


@EVERY
def test_parameters_declare_type_default_and_range(name: str) -> None:
    for item in dataclasses.fields(STRATEGIES[name].parameters):
        limits = item.metadata["range"]
        assert isinstance(limits, Range)
        assert item.type in ("int", "float")
        assert isinstance(item.default, int | float)
        assert limits.lowest <= item.default <= limits.highest
        assert limits.meaning


@EVERY
def test_defaults_are_what_no_values_mean(name: str) -> None:
    strategy = STRATEGIES[name]
    assert strategy.parse({}) == strategy.parameters()


@EVERY
def test_is_ready_after_its_warmup_and_not_at_once(name: str) -> None:
    strategy = STRATEGIES[name]
    parameters = strategy.parse({})
    state, views = strategy.state(), []
    for bar in bars(100.0 + number % 7 for number in range(strategy.warmup(parameters))):
        state, advice = strategy.update(parameters, state, bar)
        views.append(advice.view)
    assert views[0] is View.NOT_READY
    assert views[-1] is not View.NOT_READY


@EVERY
@given(closes=st.lists(st.floats(1e-12, 1e15), max_size=60))
def test_state_survives_being_stored(name: str, closes: list[float]) -> None:
    strategy = STRATEGIES[name]
    parameters = strategy.parse({})
    state = strategy.state()
    for bar in bars(closes):
        state, advice = strategy.update(parameters, state, bar)
        assert all(abs(value) < float("inf") for value in advice.indicators.values())
    assert unpack(strategy.state, pack(state)) == state


def test_a_state_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="another version of the strategy"):
        unpack(STRATEGIES["macd"].state, pack(STRATEGIES["momentum"].state()))


def test_values_are_typed() -> None:
    parameters = STRATEGIES["momentum"].parse({"lookback": "5", "entry": "2.5e-3", "every": "15"})
    assert dataclasses.asdict(parameters) == {
        "every": 15,
        "lookback": 5,
        "entry": 0.0025,
        "exit": 0.0,
    }


def test_history_counts_base_intervals() -> None:
    strategy = STRATEGIES["momentum"]
    assert strategy.history(strategy.parse({"lookback": "5", "every": "15"})) == 6 * 15


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        (
            "momentum",
            {"lookback": "0"},
            "was '0', must be a whole number from 1 to 1440 (bars the return is taken over).",
        ),
        ("momentum", {"lookback": "9" * 99}, "parameter lookback was '99999"),
        ("momentum", {"lookback": "5.0"}, "parameter lookback was '5.0', must be a whole number"),
        ("momentum", {"lookback": "1_0"}, "parameter lookback was '1_0'"),
        ("momentum", {"lookback": "\u0663"}, "parameter lookback was '\u0663'"),
        ("momentum", {"entry": "nan"}, "parameter entry was 'nan', must be a number from 0 to 10"),
        ("momentum", {"entry": "inf"}, "parameter entry was 'inf'"),
        ("momentum", {"entry": ""}, "parameter entry was ''"),
        ("momentum", {"entry": "-0.1"}, "parameter entry was '-0.1'"),
        (
            "momentum",
            {"entry": "0.01", "exit": "0.02"},
            "parameter exit was 0.02, must be at most entry, 0.01",
        ),
        ("macd", {"fast": "26"}, "strategy macd: parameter fast was 26, must be below slow, 26"),
        (
            "macd",
            {"fats": "12"},
            "strategy macd has no parameter 'fats'; it takes every, fast, slow, signal.",
        ),
    ],
)
def test_a_bad_value_is_one_sentence(name: str, values: dict[str, str], sentence: str) -> None:
    with pytest.raises(ParameterError) as refused:
        STRATEGIES[name].parse(values)
    assert str(refused.value).startswith(f"strategy {name}")
    assert sentence in str(refused.value)
    assert len(str(refused.value)) < 300
