"""Words of a command line become dumps and settings, or a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.backtest.words import Override, dumps, overrides
from app.errors import ConfigurationError
from app.market.importing import Dump


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    names = ("BTCUSDT-trades-2021-01-08.csv", "BTCUSDT-aggTrades-2021-02.zip", "mine.csv")
    for name in names:
        (tmp_path / name).write_text("")
    return [str(tmp_path / name) for name in names]


def test_a_public_dump_tells_its_instrument_by_its_name(paths: list[str]) -> None:
    (dump,) = dumps(paths[:2], (), ())
    assert dump == Dump("BINANCE:BTCUSDT", (Path(paths[0]), Path(paths[1])))


def test_one_instrument_is_that_of_all_files_and_more_are_one_each(paths: list[str]) -> None:
    assert [dump.instrument for dump in dumps(paths, ["BINANCE:A"], ())] == ["BINANCE:A"]
    found = dumps(paths, ["BINANCE:A", "BINANCE:C", "BINANCE:A"], ())
    assert found == [
        Dump("BINANCE:A", (Path(paths[0]), Path(paths[2]))),
        Dump("BINANCE:C", (Path(paths[1]),)),
    ]


def test_named_files_follow_the_others(paths: list[str]) -> None:
    found = dumps(paths[:1], (), [f"BINANCE:C={paths[2]}", f"BINANCE:BTCUSDT={paths[1]}"])
    assert [dump.instrument for dump in found] == ["BINANCE:BTCUSDT", "BINANCE:C"]
    assert len(found[0].files) == 2


@pytest.mark.parametrize(
    ("files", "instruments", "named", "sentence"),
    [
        ([2], (), (), "whose trades does"),
        ([0, 1, 2], ("BINANCE:A", "BINANCE:C"), (), "2 times for 3 files"),
        ([0], ("A:B",), (), "was 'A:B'"),
        ([], ("BINANCE:A",), (), "given without a file"),
        ([], (), ("BINANCE:A",), "must be like"),
        ([], (), ("BINANCE:A=nowhere.csv",), "there is no file 'nowhere.csv'"),
        ([3], (), (), "there is no file 'nowhere.csv'"),
    ],
)
def test_refuses_what_nobody_could_understand(
    files: list[int],
    instruments: tuple[str, ...],
    named: tuple[str, ...],
    sentence: str,
    paths: list[str],
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        dumps([[*paths, "nowhere.csv"][number] for number in files], instruments, named)


def test_a_setting_is_text_or_keys() -> None:
    assert overrides(["accounts.paper.capital=1e3", "accounts.paper.strategies={macd: {}}"]) == [
        Override(("accounts", "paper", "capital"), "1e3"),
        Override(("accounts", "paper", "strategies"), {"macd": {}}),
    ]
    for word in ("accounts", "a..b=1", "=1", "a={"):
        with pytest.raises(ConfigurationError, match="--set"):
            overrides([word])
