"""A search tries what it says, the same in any process, and can be stopped and gone on with."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import app
from app.backtest import grid, trials
from app.backtest.chance import expected_best
from app.backtest.grid import Axis
from app.backtest.journal import NAME, Journal
from app.backtest.request import Words, search_request
from app.backtest.run import Request, backtest
from app.backtest.search import Plan, outcome, search
from app.backtest.search_view import document, walked
from app.backtest.windows import Score, Window, WindowScore, scores, windows
from app.core.metrics.arrays import frozen_floats, frozen_times
from app.core.metrics.ratios import sharpe
from app.core.metrics.returns import YEAR, sample, sampling
from app.errors import ConfigurationError, LockstepError
from tests.replay.test_ring import DAY

MINUTE = 60_000
MACD = "accounts.paper.strategies.macd"
WORDS = Words(
    files=(str(DAY),),
    start="2019-10-11T10:00Z",
    end="2019-10-11T14:00Z",
    settings=("accounts.paper.strategies={macd: {}}",),
)


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def plan(*ranges: str, most: int = 10) -> Plan:
    return search_request(WORDS, ranges or (f"{MACD}.fast=5:8",), most=most, windows=2, seed=3)


@pytest.mark.parametrize(
    ("word", "values"),
    [
        (f"{MACD}.fast=5:8", ("5", "6", "7", "8")),
        (f"{MACD}.fast=5:12:3", ("5", "8", "11")),
        (f"{MACD}.fast=5,13", ("5", "13")),
        (f"{MACD}.signal", tuple(map(str, range(1, 1001)))),
        ("accounts.a.strategies.momentum.exit=0:0.9", tuple(f"{n / 10:g}" for n in range(10))),
        ("accounts.a.allocation.invested=0.3:0.9:0.3", ("0.3", "0.6", "0.9")),
        ("accounts.a.capital=5:7", ("5", "6", "7")),
    ],
)
def test_a_range_is_its_values(word: str, values: tuple[str, ...]) -> None:
    (axis,) = grid.axes([word])
    assert axis.values == values


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("interval=1:2",), "must be like"),
        ((f"{MACD}.fast=5",), "is no range"),
        ((f"{MACD}.fast=a:b",), "is no range"),
        ((f"{MACD}.fast=9:5",), "must rise"),
        (("accounts.a.capital",), "only a strategy's parameter declares a range"),
        ((f"{MACD}.fast", f"{MACD}.fast=5:6"), "named a key twice"),
        ((f"{MACD}.fast", "accounts.b.strategies.macd.fast"), "one account at a time"),
    ],
)
def test_refuses_a_range_with_a_sentence(words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        grid.axes(words)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    most=st.integers(1, 60),
    seed=st.integers(0, 5),
)
def test_all_that_fit_are_chosen_or_so_many_by_lot(sizes: list[int], most: int, seed: int) -> None:
    axes = [Axis((str(n),), tuple(map(str, range(size)))) for n, size in enumerate(sizes)]

    def fits(combination: tuple[str, ...]) -> bool:
        return sum(map(int, combination)) % 2 == 0

    found = grid.chosen(axes, most, seed, fits)
    assert len(set(found)) == len(found) <= most
    assert all(fits(each) for each in found)
    assert found == grid.chosen(axes, most, seed, fits)
    if np.prod(sizes) <= most:
        assert len(found) == sum(fits(tuple(map(str, index))) for index in np.ndindex(*sizes))


def test_combinations_that_no_strategy_takes_are_left_out() -> None:
    made = plan(f"{MACD}.fast=19:22", f"{MACD}.slow=21,22")
    assert set(made.accounts) == {
        ("19", "21"),
        ("19", "22"),
        ("20", "21"),
        ("20", "22"),
        ("21", "22"),
    }
    with pytest.raises(ConfigurationError, match="must be below slow"):
        plan(f"{MACD}.fast=30:31")
    with pytest.raises(ConfigurationError, match="no account 'other' here, only paper"):
        plan("accounts.other.strategies.macd.fast=5:6")


@settings(max_examples=60, deadline=None)
@given(intervals=st.integers(50, 5000), count=st.integers(1, 8))
def test_windows_follow_each_other(intervals: int, count: int) -> None:
    try:
        found = windows(0, intervals * MINUTE, count, MINUTE)
    except LockstepError:
        assert intervals // (count + 2) < 10
        return
    assert len(found) == count
    for one, two in pairwise(found):
        assert (two.turn, two.start) == (one.end, one.start + one.end - one.turn)
    assert all(one.turn - one.start == 2 * (one.end - one.turn) for one in found)
    assert found[-1].end <= intervals * MINUTE


def test_a_window_is_measured_as_a_run_of_that_length_is() -> None:
    draw = np.random.default_rng(1)
    times = np.arange(401, dtype=np.int64) * MINUTE
    equity = 100.0 * np.cumprod(1.0 + draw.normal(0, 0.001, 401))
    every = windows(0, int(times[-1]), 2, MINUTE)
    found = scores(frozen_times(times), frozen_floats(equity), every, MINUTE)
    part = slice(200, 301)
    returns = sample(times[part], equity[part], sampling(100 * MINUTE, MINUTE))
    assert found[0].outside.sharpe == sharpe(returns).value
    assert found[0].outside.gained == equity[300] / equity[200] - 1.0
    assert found[0].outside != found[1].inside
    flat = scores(frozen_times(times), frozen_floats(np.full(401, 5.0)), every, MINUTE)
    assert flat[0].inside == Score(None, 0.0)
    assert flat[0].inside.worth == 0.0


def test_the_best_by_chance_is_that_of_draws() -> None:
    draw = np.random.default_rng(2)
    for count in (5, 50, 500):
        simulated = draw.normal(size=(4000, count)).max(axis=1).mean()
        assert expected_best(count, YEAR) == pytest.approx(simulated, rel=0.05)
    assert expected_best(50, 4 * YEAR) == pytest.approx((expected_best(50, YEAR) or 0) / 2)
    assert expected_best(1, YEAR) is None


def test_accounts_side_by_side_do_as_each_alone() -> None:
    made = plan()
    accounts = list(made.accounts.values())
    together = trials.run(made.source, accounts, 2)
    assert len({str(each) for each in together}) > 1
    assert trials.run(made.source, accounts[2:3], 2) == together[2:3]
    alone = asyncio.run(
        backtest(Request(replace(made.source, accounts=(accounts[2],))), lambda *_: None)
    )
    paths = alone.summary.accounts[0].paths
    every = windows(int(paths.time[0]), int(paths.time[-1]), 2, MINUTE)
    assert scores(paths.time, paths.equity, every, MINUTE) == together[2]


def test_processes_change_nothing_and_a_journal_spares_what_is_done(tmp_path: Path) -> None:
    made = plan()
    journal = Journal(tmp_path, made.terms())
    told: list[int] = []
    search(made, journal, 2, told.append)
    assert told[-1] == 4
    found = outcome(made, journal)
    assert [each.outside for each in found.results] == sorted(
        (each.outside for each in found.results), reverse=True
    )
    assert len(found.picks) == 2

    written = lines(tmp_path / NAME)
    (tmp_path / NAME).write_bytes(b"".join(written[:3]) + written[3][:20])  # broken off
    again = Journal(tmp_path, made.terms())
    assert len(again.done) == 2
    search(made, again, 1, told.append)
    assert document(made, outcome(made, again)) == document(made, found)
    assert Journal(tmp_path, made.terms()).done == journal.done
    with pytest.raises(ConfigurationError, match="is of another search"):
        Journal(tmp_path, plan(f"{MACD}.fast=5:9").terms())


def test_what_the_picks_gained_is_compounded() -> None:
    made = plan()
    journal = Journal(None, {})
    one, two = Window(0, 2, 3), Window(1, 3, 4)
    values = list(made.accounts)
    for number, each in enumerate(values):
        good, bad = Score(float(number), 0.1 * number), Score(-float(number), None)
        journal.add({each: [WindowScore(one, good, good), WindowScore(two, bad, good)]})
    found = outcome(made, journal)
    assert [pick.values for pick in found.picks] == [values[3], values[0]]
    assert walked(found) == pytest.approx(1.3 - 1.0)


def test_an_interrupt_ends_it_with_what_is_there_and_it_goes_on(tmp_path: Path) -> None:
    words = [
        *("backtest", str(DAY), "--search", f"{MACD}.fast=5:24", "--windows", "2"),
        *("--set", "accounts.paper.strategies={macd: {}}", "--processes", "1", "--out", "out"),
        *("--from", "2019-10-11T08:00Z", "--to", "2019-10-11T14:00Z"),
    ]
    main = f"import sys; from app.cli import run\nif __name__ == '__main__': sys.exit(run({words}))"
    command = [sys.executable, "-c", main]
    environment = {**os.environ, "PYTHONPATH": str(Path(app.__file__).parent.parent)}
    journal = tmp_path / "out" / NAME
    process = subprocess.Popen(  # noqa: S603 - our own code
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    while process.poll() is None and not (journal.exists() and len(lines(journal)) > 1):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert "Stopped after 16 of 20 combinations: run the same command again to go on." in error
    assert "Traceback" not in error
    assert out.count("combinations\t") == 17
    assert len(lines(journal)) == 17
