"""Traces tell where two runs differ; cut files end where they must; hidden ones are not seen."""

from __future__ import annotations

import gzip
import math
import os
import zipfile
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.backtest import fresh
from app.backtest.cutting import cut
from app.backtest.fresh import Call, FailedError
from app.backtest.signals import Course
from app.backtest.trace import Column, Place, Row, Rows, difference
from app.backtest.tracing import Fed
from app.backtest.warmup import Convergence, convergences
from app.errors import LockstepError
from app.market.dumps import read_dump
from app.market.importing import Dump
from tests.replay.test_ring import DAY, XRP

ROWS = (Row("signals", "macd", "X", "paper"), Row("orders", "risk", "paper", "X"))
MINUTE = 60_000
HERE = "tests.backtest.test_tracing"

Made = list[tuple[int, int, int]]
MADE = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 9), st.integers(0, 3)), max_size=20
).map(lambda made: sorted(made, key=lambda each: each[1]))


def rows(made: Made) -> Rows:
    found: Rows = {}
    for row, time, value in made:
        found.setdefault(ROWS[row], Column()).add(time, value)
    return found


def told(made: Made, row: int, through: int) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for at, time, value in made:
        if at == row and time <= through:
            found.setdefault(time, []).append(value)
    return found


@settings(max_examples=150, deadline=None)
@given(one=MADE, other=MADE, through=st.integers(0, 10))
def test_the_first_difference_is_found_where_it_began(one: Made, other: Made, through: int) -> None:
    expected = [
        Place(time, ROWS[row])
        for row in (0, 1)
        for time in range(10)
        if told(one, row, through).get(time) != told(other, row, through).get(time)
    ]
    found = difference(rows(one), rows(other), through)
    assert found == min(expected, key=lambda each: (each.time, each.row.rank), default=None)


def test_a_decision_is_settled_by_a_trade_of_every_instrument() -> None:
    fed = Fed({"a": array("q", [10, 60_001, 120_005]), "b": array("q", [119_999, 120_001])})
    assert fed.settled == 2 * MINUTE
    assert fed.settlements(MINUTE) == [119_999, 120_005]
    assert Fed({"a": array("q")}).settlements(0) == []


def course(values: list[float], start: int = 1, views: str = "") -> Course:
    times = array("q", [(start + number) * MINUTE for number in range(len(values))])
    flags = array("b", [int(view) for view in views or "0" * len(values)])
    return Course(times, flags, {"x": array("d", values)})


def test_how_long_a_later_start_takes_to_agree() -> None:
    whole = course([1.0, 2.0, 3.0, 4.0, 5.0], views="01010")
    late = course([math.nan, 3.5, 4.001, 5.0], start=2, views="0110")
    assert convergences(whole, late, MINUTE) == [
        Convergence("view", 2),
        Convergence("indicators.x", 2),
    ]
    assert convergences(whole, course([9.0], start=5, views="0"), MINUTE) == [
        Convergence("view", 0),
        Convergence("indicators.x", None),
    ]
    assert convergences(whole, course([9.0], start=9), MINUTE) == []


@pytest.mark.parametrize("form", ["csv", "gz", "zip"])
@pytest.mark.parametrize(
    "header", ["", "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match\n"]
)
def test_a_cut_file_is_the_beginning_in_the_same_form(
    tmp_path: Path, form: str, header: str
) -> None:
    text = header + "".join(DAY.read_text().splitlines(keepends=True)[:200])
    path = tmp_path / f"d.{form}"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("d.csv", text)
    else:
        path.write_bytes(gzip.compress(text.encode()) if form == "gz" else text.encode())
    every = list(read_dump(path))
    time = every[120].time
    left = cut([Dump(XRP, (path,))], time, tmp_path / "cut")
    (part,) = left.dumps[0].files
    expected = [row for row in every if row.time <= time]
    assert list(read_dump(part)) == expected
    assert left.hidden == {path: part}
    assert part.read_bytes()[:2] == path.read_bytes()[:2]


def test_files_behind_the_cut_are_empty_and_those_before_stay(tmp_path: Path) -> None:
    lines = DAY.read_text().splitlines(keepends=True)
    files = tuple(tmp_path / f"{number}.csv" for number in range(3))
    for number, path in enumerate(files):
        path.write_text("".join(lines[number * 50 : number * 50 + 50]))
    time = list(read_dump(files[1]))[10].time
    left = cut([Dump(XRP, files)], time, tmp_path / "cut")
    assert left.dumps[0].files[0] == files[0]
    assert len(left.dumps[0].files) == 2
    assert set(left.hidden) == {files[1], files[2]}
    assert left.hidden[files[2]].read_bytes() == b""


def contents(path: Path) -> list[str]:
    """Read a file in every way that Python code does; run in another process."""
    number = os.open(path, os.O_RDONLY)
    with os.fdopen(number) as low, open(path) as plain:  # noqa: PTH123 - that is the point
        return [low.read(), plain.read(), path.read_text(), os.environ["PYTHONHASHSEED"]]


def fail(sentence: str) -> None:
    raise LockstepError(sentence) if sentence else ZeroDivisionError


def test_another_process_sees_the_stand_in_under_any_name(tmp_path: Path) -> None:
    real, stand_in, link = (tmp_path / name for name in ("real", "stand-in", "link"))
    real.write_text("all")
    stand_in.write_text("some")
    link.symlink_to(real)
    call = Call(HERE, "contents", (link,), seed=7, hidden={real: stand_in})
    assert fresh.run(call) == ["some", "some", "some", "7"]
    assert real.read_text() == "all"


def test_what_another_process_raises_is_raised_here() -> None:
    with pytest.raises(LockstepError, match="It was so"):
        fresh.run(Call(HERE, "fail", ("It was so.",)))
    with pytest.raises(FailedError, match="ZeroDivisionError"):
        fresh.run(Call(HERE, "fail", ("",)))
    with pytest.raises(FailedError, match="died without a word"):
        fresh.run(Call("os", "_exit", (3,)))
