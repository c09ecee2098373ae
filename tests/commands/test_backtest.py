"""The command line of backtests: what it prints and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.cli import run
from tests.replay.test_ring import DAY

HOURS = ("--from", "2019-10-11T02:00Z", "--to", "2019-10-11T04:00Z")


def backtest(*words: str) -> int:
    return run(["backtest", *words])


def test_a_file_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest(str(DAY), *HOURS) == 0
    out = capsys.readouterr().out
    assert "paper\tfrom\t2019-10-11 02:01" in out
    assert "warning\tNo account of the settings trades BINANCE:XRPETH" in out


def test_json_is_the_report_and_a_setting_changes_it(capsys: pytest.CaptureFixture[str]) -> None:
    changes = ("--set", "accounts.paper.strategies={macd: {slow: 30}}")
    assert backtest("--input", f"BINANCE:XRPETH={DAY}", *HOURS, *changes, "--json") == 0
    (account,) = json.loads(capsys.readouterr().out)["accounts"]
    assert [each["strategy"] for each in account["strategies"]] == ["macd"]
    assert account["configuration"]["strategies"][0]["parameters"] == {"slow": "30"}


def test_a_strategy_that_never_was_ready_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    early = ("--to", "2019-10-11T00:30Z")
    assert backtest(str(DAY), *early) == 0
    out = capsys.readouterr().out
    assert "macd of paper was never ready on BINANCE:XRPETH: it wants 113 base intervals" in out


def test_years_before_and_after_the_data_change_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = []
    for words in ((str(DAY), "--from", "2010-01-01"), (str(DAY),)):
        assert backtest(*words, "--json", "--to", "2019-10-11T00:30Z") == 0
        told.append(json.loads(capsys.readouterr().out))
    assert told[0]["accounts"] == told[1]["accounts"]
    assert any("its files hold nothing before" in each for each in told[0]["warnings"])


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((), 2, "there is nothing to run"),
        ((str(DAY), "--set", "accounts.paper.strategies.macd.fats=8"), 2, "no parameter 'fats'"),
        ((str(DAY), "--from", "2019-10-11T03:00Z", "--to", "2019-10-11T02:00Z"), 2, "not before"),
        ((str(DAY), "--from", "2020-10-11"), 1, "holds no trade of BINANCE:XRPETH at or after"),
        ((str(DAY), "--to", "2019-10-10"), 1, "nothing was decided"),
        ((str(DAY), "--from", "soon"), 2, "--from: 'soon' is no time"),
        ((str(DAY), "--instrument", "XRPETH"), 2, "name it BINANCE:SYMBOL"),
        ((str(DAY), "--instrument", "BINANCE:XRPDOT"), 2, "quote asset of 'XRPDOT' is not known"),
        ((str(DAY), "--topics"), 2, "--topics and a file were both given"),
        (("--topics", "--config", "x.yaml"), 2, "--topics and --config were both given"),
    ],
)
def test_refuses_with_a_sentence(
    words: tuple[str, ...], code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest(*words) == code
    assert sentence in capsys.readouterr().err


def test_a_named_file_without_an_account_for_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "app.yaml").write_text("accounts: {}")
    assert backtest(str(DAY), "--config", str(tmp_path / "app.yaml")) == 2
    assert "app.yaml trades BINANCE:XRPETH" in capsys.readouterr().err
