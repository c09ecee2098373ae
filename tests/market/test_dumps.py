"""The dump reader: what was written is read back; what is no dump is refused with its line."""

from __future__ import annotations

import gzip
import io
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.market.dumps import Aggregate, DumpError, read_dump

DATA = Path(__file__).parents[1] / "data"
START = 1_570_752_000_000

amounts = st.decimals(min_value="0.00000001", max_value="99999999999", places=8)


@st.composite
def aggregates(draw: st.DrawFn) -> list[Aggregate]:
    identity, trade, time, rows = (
        draw(st.integers(0, 2**40)),
        draw(st.integers(0, 2**50)),
        START,
        [],
    )
    for _ in range(draw(st.integers(1, 12))):
        identity += draw(st.integers(1, 3))
        time += draw(st.integers(0, 10**7))
        if draw(st.integers(0, 4)) == 0:
            rows.append(
                Aggregate(identity, -1, -1, time, Decimal(0), Decimal(0), draw(st.booleans()))
            )
            continue
        last = trade + draw(st.integers(0, 30))
        rows.append(
            Aggregate(
                identity, trade, last, time, draw(amounts), draw(amounts), draw(st.booleans())
            )
        )
        trade = last + 1
    return rows


def as_aggregates(rows: list[Aggregate], unit: int = 1) -> str:
    return "".join(
        f"{row.id},{row.price:f},{row.quantity:f},{row.first_id},{row.last_id},"
        f"{row.time * unit},{row.buyer_maker},True\n"
        for row in rows
    )


def as_trades(rows: list[Aggregate], unit: int = 1) -> str:
    return "".join(
        f"{row.id},{row.price:f},{row.quantity:f},1.00,{row.time * unit},{row.buyer_maker},True\n"
        for row in rows
    )


def pack(text: str, how: str) -> bytes:
    if how == "zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("BTCUSDT-aggTrades-2025-01-01.csv", text)
        return packed.getvalue()
    return gzip.compress(text.encode()) if how == "gz" else text.encode()


@settings(max_examples=60, deadline=None)
@given(
    rows=aggregates(),
    how=st.sampled_from(["plain", "zip", "gz"]),
    unit=st.sampled_from([1, 1000]),
    header=st.booleans(),
    newline=st.sampled_from(["\n", "\r\n"]),
)
def test_aggregates_are_read_back(
    *,
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Aggregate],
    how: str,
    unit: int,
    header: bool,
    newline: str,
) -> None:
    text = "agg_id,price,qty,first,last,time,maker,best\n" * header + as_aggregates(rows, unit)
    path = tmp_path_factory.mktemp("dump") / "dump"
    path.write_bytes(pack(text.replace("\n", newline), how))
    assert list(read_dump(path)) == rows


@settings(max_examples=30, deadline=None)
@given(rows=aggregates(), unit=st.sampled_from([1, 1000]))
def test_raw_trades_are_aggregates_of_one(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Aggregate], unit: int
) -> None:
    trades = [row for row in rows if not row.void] or [
        Aggregate(1, 1, 1, START, Decimal(1), Decimal(1), False)
    ]
    path = tmp_path_factory.mktemp("dump") / "dump"
    path.write_text(as_trades(trades, unit))
    for read, written in zip(read_dump(path), trades, strict=True):
        assert (read.id, read.first_id, read.last_id) == (written.id,) * 3
        assert (read.time, read.price) == (written.time, written.price)
        assert (read.quantity, read.buyer_maker) == (written.quantity, written.buyer_maker)


@settings(max_examples=80, deadline=None)
@given(
    rows=aggregates(),
    where=st.integers(0, 11),
    garbage=st.one_of(st.binary(max_size=80), st.text(max_size=60).map(str.encode)),
)
def test_a_garbage_line_is_refused_by_its_number(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Aggregate], where: int, garbage: bytes
) -> None:
    garbage = b"?" + garbage.replace(b"\n", b"")
    lines = as_aggregates(rows).encode().splitlines(keepends=True)
    where = min(where, len(lines) - 1) + 1
    lines.insert(where, garbage + b"\n")
    path = tmp_path_factory.mktemp("dump") / "dump"
    path.write_bytes(b"".join(lines))
    read = []
    with pytest.raises(DumpError) as caught:
        read.extend(read_dump(path))
    assert caught.value.line == where + 1
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "holds no trades"),
        ("id,price,qty,quote,time,maker,best\n", 1, "holds no trades"),
        ("hello\n", 1, "number of columns was 1;"),
        ("1,2,3\n", 1, "number of columns was 3;"),
        (
            "1,1.5,1,1.5,1570752000000,True,True\n2,1.5\n",
            2,
            "number of columns was 2, and 7 in the first line",
        ),
        ("1,1.5,1,1.5,1570752000000,maybe,True\n", 1, "buyer_maker was 'maybe'"),
        ("1,NaN,1,1.5,1570752000000,True,True\n", 1, "price was 'NaN'"),
        ("1,1e5,1,1.5,1570752000000,True,True\n", 1, "price was '1e5'"),
        ("1,-1,1,1.5,1570752000000,True,True\n", 1, "price was '-1'"),
        ("1,0.0,1,1.5,1570752000000,True,True\n", 1, "was 0"),
        ("1,1.5,1,1.5,1570752000,True,True\n", 1, "time was '1570752000'"),
        ("1,1.5,1,1.5,9999999999999,True,True\n", 1, "outside 2010 to 2099"),
        ("5,1.5,1,1.5,1570752000000,True,True\n" * 2, 2, "was 5 after 5"),
        ("1,1.5,1,9,8,1570752000000,True,True\n", 1, "below the first"),
        ("1,1.5,1,-1,-1,1570752000000,True,True\n", 1, "void aggregate"),
        ("1,1,2,3,4,1570752000000,True\n", 1, "time was '4'"),
        ("1" * 2000, 1, "longer than 1024"),
    ],
)
def test_what_is_no_dump_is_refused_with_its_reason(
    tmp_path: Path, text: str, line: int, reason: str
) -> None:
    path = tmp_path / "dump.csv"
    path.write_text(text)
    with pytest.raises(DumpError, match=reason) as caught:
        list(read_dump(path))
    assert caught.value.line == line


@pytest.mark.parametrize("how", ["zip", "gz"])
def test_a_damaged_archive_is_refused(tmp_path: Path, how: str) -> None:
    rows = "".join(f"{n},1.5,{n},1.5,1570752000000,True,True\n" for n in range(1, 2000))
    packed = pack(rows, how)
    path = tmp_path / "dump"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(DumpError, match="archive is damaged"):
        list(read_dump(path))


def test_an_archive_of_two_files_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dump.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "")
        archive.writestr("b.csv", "")
    with pytest.raises(DumpError, match="holds 2 files"):
        list(read_dump(path))


def test_a_real_day_is_read_whole_and_in_order() -> None:
    trades = list(read_dump(DATA / "XRPETH-trades-2019-10-11.csv"))
    assert [trade.id for trade in trades] == list(range(13519807, 13525736))
    assert trades[0] == Aggregate(
        13519807, 13519807, 13519807, 1570752011620, Decimal("0.00141342"), Decimal(23), True
    )


def test_rows_come_before_the_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "dump.csv"
    path.write_text("1,1.5,1,1.5,1570752000000,True,True\nnonsense\n")
    reader = read_dump(path)
    assert next(reader).id == 1
    with pytest.raises(DumpError):
        next(reader)
