"""Files of another market are refused, by their name, their times, their prices."""

from __future__ import annotations

import zipfile
from decimal import Decimal
from pathlib import Path

import pytest

from app.errors import LockstepError
from app.market.belonging import Newest, check_follows, check_name, named_symbol
from app.market.dumps import Aggregate
from app.market.importing import Dump, check, trades

TIME = 1_570_752_000_000
BEFORE = Newest(7, TIME, Decimal(100))


def row(identity: int, time: int, price: str) -> Aggregate:
    return Aggregate(identity, identity, identity, time, Decimal(price), Decimal(1), True)


def write(path: Path, *rows: Aggregate) -> Path:
    path.write_text("".join(f"{each.id},{each.price},1,1,{each.time},True,True\n" for each in rows))
    return path


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("ETHUSDT-trades-2021-01-08.csv", "ETHUSDT"),
        ("ETHUSDT-aggTrades-2021-01.csv", "ETHUSDT"),
        ("1INCHUSDT-trades-2021-01.csv", "1INCHUSDT"),
        ("mine.csv", None),
        ("my-ETHUSDT-trades-2021.csv", None),
    ],
)
def test_a_public_name_tells_its_symbol(name: str, symbol: str | None, tmp_path: Path) -> None:
    assert named_symbol(write(tmp_path / name)) == symbol


def test_the_file_in_an_archive_tells_it_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("ETHUSDT-trades-2021-01-08.csv", "")
    assert named_symbol(path) == "ETHUSDT"
    path.write_bytes(path.read_bytes()[:-30])
    assert named_symbol(path) is None
    with pytest.raises(LockstepError, match="holds trades of ETHUSDT by its name, not of BTCUSDT"):
        check_name(tmp_path / "ETHUSDT-trades-2021-01-08.csv", "BTCUSDT")


@pytest.mark.parametrize(
    ("time", "price", "sentence"),
    [
        (TIME - 60_001, "100", "the time 2019-10-10T23:58:59.999Z after 2019-10-11T00:00:00Z"),
        (TIME, "1000.01", "the price 1000.01 after 100"),
        (TIME + 10**9, "9.99", r"the price 9.99 after 100 of trade 7; give one instrument's"),
    ],
)
def test_what_cannot_follow_is_refused(time: int, price: str, sentence: str) -> None:
    with pytest.raises(LockstepError, match=sentence):
        check_follows(Path("a.csv"), row(8, time, price), BEFORE)


@pytest.mark.parametrize(("time", "price"), [(TIME - 60_000, "1000"), (TIME + 10**9, "10")])
def test_what_may_follow_is_not(time: int, price: str) -> None:
    check_follows(Path("a.csv"), row(8, time, price), BEFORE)


def test_each_file_must_follow_the_one_before(tmp_path: Path) -> None:
    one = write(tmp_path / "one.csv", row(1, TIME, "100"), row(2, TIME, "5000"))
    two = write(tmp_path / "two.csv", row(3, TIME, "600"))
    three = write(tmp_path / "three.csv", row(4, TIME, "7"))
    assert [each.id for each in trades(Dump("BINANCE:XRPETH", (one, two)))] == [1, 2, 3]
    with pytest.raises(LockstepError, match=r"three\.csv can't be of the same market"):
        list(trades(Dump("BINANCE:XRPETH", (one, two, three))))


def test_a_dump_named_as_another_symbol_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "ETHUSDT-trades-2021-01-08.csv", row(1, TIME, "100"))
    check(Dump("BINANCE:ETHUSDT", (path,)))
    with pytest.raises(LockstepError, match="correct the file or the instrument"):
        check(Dump("BINANCE:BTCUSDT", (path,)))
