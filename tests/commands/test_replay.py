"""The command line of replays of files: what it prints, writes and refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from app.cli import run
from tests.configurations import REAL
from tests.replay.test_ring import DAY

WIDE = """
  wide:
    quote: ETH
    capital: 1000
    instruments: [BINANCE:XRPETH, BINANCE:BTCETH]
    strategies:
      momentum: {lookback: 3, entry: 0.0001}
    risk: {order_notional: 300, position_notional: 500, gross_notional: 1000,
           daily_loss: 500, drawdown: 0.9}
"""
NOWHERE = 'market: {exchange: local, stream: "ws://127.0.0.1:1", rest: "http://127.0.0.1:1"}'
HOUR = ("--from", "2019-10-11T01:00Z", "--to", "2019-10-11T02:00Z")
FILE = ("--file", str(DAY), "--instrument", "BINANCE:XRPETH", "--account", "real")


@pytest.fixture(autouse=True)
def _configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app.yaml").write_text(NOWHERE + REAL + WIDE)
    (tmp_path / "database.yaml").write_text("")
    monkeypatch.setenv("LOCKSTEP_CONFIG", str(tmp_path))


def replay(*words: str) -> int:
    return run(["replay", *words])


def test_prints_counts_and_hashes(capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(*FILE, *HOUR) == 0
    out = capsys.readouterr().out
    assert "records of files from the beginning" in out
    assert "candles" in out


def test_the_same_file_makes_the_same_hashes_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(*FILE, *HOUR, "--json") == 0
    first = json.loads(capsys.readouterr().out)
    named = ("--file", f"BINANCE:XRPETH={DAY}", "--account", "real")
    assert replay(*named, *HOUR, "--json", "--out", str(tmp_path / "out")) == 0
    second = json.loads(capsys.readouterr().out)
    assert first["digests"] == second["digests"]
    assert first["counts"]["portfolio"] == 61  # an hour, and the epoch
    with (tmp_path / "out" / "portfolio.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == 62


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--file", str(DAY)), "whose trades does"),
        ((*FILE[:4], "--account", "nobody"), "no account 'nobody'"),
        (FILE[:4], "account wide trades BINANCE:BTCETH, too"),
        ((*FILE, "--from", "yesterday"), "'yesterday' is no time"),
        ((*FILE, "--from", "trades/0/17"), "a place on a topic"),
        ((*FILE, "--from-database"), "choose one"),
        (("--instrument", "BINANCE:XRPETH"), "given without --file"),
        (("--account", "real"), "given without --file"),
        ((*FILE, "--topics", ""), "the prefix of the run itself"),
        (("--file", "BINANCE:XRPETH=nowhere.csv"), "there is no file 'nowhere.csv'"),
        ((*FILE[:2], "--instrument", "XRPETH", "--account", "real"), "no account trades XRPETH"),
    ],
)
def test_refuses_with_a_sentence(
    words: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(*words) == 2
    assert sentence in capsys.readouterr().err
