"""Which accounts a backtest runs: a file's, the installation's, or one of its own."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from app.backtest import settings
from app.backtest.settings import Setup, Values
from app.backtest.topics import overridden
from app.backtest.words import overrides
from app.core.strategies import STRATEGIES
from app.errors import ConfigurationError

BTC, ETH, XRP = "BINANCE:BTCUSDT", "BINANCE:ETHUSDT", "BINANCE:XRPETH"
FILE = """
interval: 5m
kafka: {bootstrap: "nowhere:1"}
accounts:
  paper:
    quote: USDT
    capital: 1000
    instruments: [BINANCE:BTCUSDT, BINANCE:ETHUSDT]
    strategies: {momentum: {lookback: 3}}
    risk: {order_notional: 1, position_notional: 2, gross_notional: 3, daily_loss: 4, drawdown: 0.5}
"""


@pytest.fixture
def values(tmp_path: Path) -> Values:
    (tmp_path / "mine.yaml").write_text(FILE)
    return settings.read(tmp_path / "mine.yaml")


def setup(values: Values, *names: str, given: tuple[str, ...] = ()) -> Setup:
    return settings.setup(values, names, overrides(given))


def test_a_file_is_all_that_counts(values: Values, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKSTEP_ACCOUNTS__PAPER__CAPITAL", "7")
    found = setup(values, BTC, ETH)
    assert (found.interval, found.notes) == (300_000, ())
    assert found.accounts[0].capital == 1000


def test_the_environment_counts_where_no_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCKSTEP_ACCOUNTS__PAPER__CAPITAL", "7")
    assert setup(settings.read(None), BTC, ETH).accounts[0].capital == 7
    given = ("accounts.paper.capital=8",)
    assert setup(settings.read(None), BTC, ETH, given=given).accounts[0].capital == 8


def test_an_account_runs_without_what_was_not_given_and_says_so(values: Values) -> None:
    found = setup(values, ETH)
    assert found.accounts[0].instruments == (ETH,)
    assert "paper trades BINANCE:BTCUSDT, too" in found.notes[0]


def test_overrides_change_add_and_replace(values: Values) -> None:
    given = (
        "accounts.paper.strategies.momentum.lookback=9",
        "accounts.paper.strategies.macd.fast=5",
        "accounts.paper.allocation.invested=0.30",
        "interval=1m",
    )
    found = setup(values, BTC, ETH, given=given)
    account = found.accounts[0]
    assert {each.name: each.parameters for each in account.strategies} == {
        "momentum": {"lookback": "9"},
        "macd": {"fast": "5"},
    }
    assert (account.allocation.invested, found.interval) == (Decimal("0.30"), 60_000)
    only = setup(values, BTC, given=("accounts.paper.strategies={macd: {}}",))
    assert [each.name for each in only.accounts[0].strategies] == ["macd"]


def test_a_default_account_runs_every_strategy() -> None:
    found = setup(settings.read(None), XRP)
    account = found.accounts[0]
    assert (account.quote, account.instruments) == ("ETH", (XRP,))
    assert {each.name for each in account.strategies} == set(STRATEGIES)
    assert "No account of the settings trades" in found.notes[0]
    mixed = setup(settings.read(None), XRP, "BINANCE:XRPBTC").accounts
    assert [each.name for each in mixed] == ["paper-eth", "paper-btc"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("kafka.prefix=x", "--set kafka.prefix: kafka is unknown"),
        ("accounts.papre.capital=1", "no account 'papre': did you mean paper"),
        ("accounts.paper.capitol=1", "--set: accounts.paper.capitol is unknown"),
        ("accounts.paper.capital=much", "--set: accounts.paper.capital was 'much', must be"),
        ("accounts.paper.strategies.macd.fats=8", "macd has no parameter 'fats'"),
        ("accounts.paper.strategies.macd.fast=1", "--set: accounts.paper.strategies: strategy"),
        ("accounts.paper.strategies.mcad.fast=8", "'mcad', which is no strategy: did you mean"),
        ("accounts.paper.risk.drawdown=3", "drawdown"),
        ("interval=7m", "--set: interval was 420000 ms, must divide a day"),
        ("accounts.paper.instruments=[BINANCE:XRPETH]", "not quoted in USDT"),
        ("accounts.paper.instruments=[BINANCE:ETHUSDT]", "no account of .*mine.yaml trades"),
    ],
)
def test_refuses_with_a_sentence(values: Values, given: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        setup(values, BTC, given=(given,))


def test_a_file_with_something_unknown_or_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("acounts: {}")
    with pytest.raises(ConfigurationError, match="acounts is unknown: did you mean accounts"):
        settings.read(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("accounts: {paper: {quote: USDT}}")
    with pytest.raises(ConfigurationError, match=r"b\.yaml: accounts\.paper\.\w+ is missing"):
        setup(settings.read(tmp_path / "b.yaml"), BTC)
    with pytest.raises(ConfigurationError, match="could not be read"):
        settings.read(tmp_path / "absent.yaml")


def test_an_account_survives_its_form_in_a_file(values: Values) -> None:
    account = setup(values, BTC, ETH).accounts[0]
    assert overridden(account, (), 60_000) == account
    changed = tuple(overrides(["accounts.paper.capital=9", "accounts.other.capital=1"]))
    assert overridden(account, changed, 60_000).capital == 9
    for given in ("accounts.paper.instruments=[BINANCE:BTCUSDT]", "interval=5m"):
        with pytest.raises(ConfigurationError, match="topics"):
            overridden(account, tuple(overrides([given])), 60_000)
