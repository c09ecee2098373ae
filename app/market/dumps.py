"""Files in the format of Binance's public dumps come in, trades go out one by one, in order.

A dump is CSV, bare or inside .zip or .gz (told by content, not by name), of one of two kinds,
told by the number of columns:

- `trades`, 7 columns: id, price, quantity, quote quantity, time, buyer is maker, best match;
- `aggTrades`, 8 columns: id, price, quantity, first id, last id, time, buyer is maker, best match.

A header is allowed. Times are milliseconds, or microseconds where at or above 1e14.
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

from app.errors import LockstepError

LONGEST_LINE = 1024
FIRST_MICROSECONDS = 10**14
EARLIEST_TIME = 1_262_304_000_000  # 2010-01-01: anything older is not a time in milliseconds
LATEST_TIME = 4_102_444_800_000  # 2100-01-01


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Fills of one taker order at one price and time; a raw trade is an aggregate of one.

    Attributes:
        id: the aggregate's id, consecutive per symbol (of a raw trade: the trade's id).
        first_id: the first raw trade it covers, -1 if void.
        last_id: the last raw trade it covers, inclusive, -1 if void.
        time: when it was matched, milliseconds UTC since the epoch.
        price: quote units for one base unit, 0 if void.
        quantity: base units, 0 if void.
        buyer_maker: whether the buyer was the maker, so that the taker sold.
    """

    id: int
    first_id: int
    last_id: int
    time: int
    price: Decimal
    quantity: Decimal
    buyer_maker: bool

    @property
    def void(self) -> bool:
        """Whether it is a withdrawn duplicate: it consumes an id and holds no trade."""
        return self.first_id < 0


class DumpError(LockstepError):
    """A file is not a dump; the sentence names the file, the line and the reason."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(
            f"{path}, line {line}: {reason}; give an undamaged Binance spot dump of trades "
            "(7 columns) or aggTrades (8 columns)"
        )
        self.path = path
        self.line = line
        self.reason = reason


_ID = r"\d{1,18}"
_NUMBER = r"\d{1,20}(?:\.\d{1,18})?"
_BOOLEAN = r"True|False|true|false"
_ID_MEANING = "an id"
_NUMBER_MEANING = "a plain decimal number"
_TIME_MEANING = "a time in milliseconds or microseconds"
_BOOLEAN_MEANING = "True or False"


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    pattern: str
    meaning: str


def _columns(*middle: _Column) -> tuple[_Column, ...]:
    return (
        _Column("id", _ID, _ID_MEANING),
        _Column("price", _NUMBER, _NUMBER_MEANING),
        _Column("quantity", _NUMBER, _NUMBER_MEANING),
        *middle,
        _Column("time", r"\d{13,16}", _TIME_MEANING),
        _Column("buyer_maker", _BOOLEAN, _BOOLEAN_MEANING),
        _Column("best_match", _BOOLEAN, _BOOLEAN_MEANING),
    )


_KINDS = {
    len(columns): (columns, re.compile(",".join(f"({column.pattern})" for column in columns)))
    for columns in (
        _columns(_Column("quote quantity", _NUMBER, _NUMBER_MEANING)),
        _columns(
            _Column("first id", rf"{_ID}|-1", _ID_MEANING),
            _Column("last id", rf"{_ID}|-1", _ID_MEANING),
        ),
    )
}
_AGGREGATE_COLUMNS = 8


def read_dump(path: Path) -> Iterator[Aggregate]:
    """Read a dump as a stream, holding one line at a time.

    Void aggregates are yielded too (`Aggregate.void`), because they consume an id: a reader that
    checks ids needs them, and one that wants trades skips them.

    Args:
        path: a CSV file, or a .zip or .gz that holds one.

    Yields:
        Aggregates with rising ids, times truncated to milliseconds.

    Raises:
        DumpError: at the first line that is not a row of a dump, or for a damaged archive.
        OSError: the file can't be read.
    """
    number, previous = 0, -1
    try:
        with _opened(path) as lines:
            for number, columns, row in _rows(path, lines):
                aggregate = _aggregate(row, columns)
                reason = _contradiction(aggregate, previous)
                if reason:
                    raise DumpError(path, number, reason)
                previous = aggregate.id
                yield aggregate
    except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DumpError(path, number + 1, f"the archive is damaged ({error})") from error
    if previous < 0:
        raise DumpError(path, number + 1, "it holds no trades")


def line_of(path: Path, identity: int) -> int:
    """Return the number of the line that a row with some id stands in; 0 where there is none."""
    with _opened(path) as lines:
        found = (number for number, _, row in _rows(path, lines) if int(row[0]) == identity)
        return next(found, 0)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(file) as archive, _member(path, archive) as member:
                yield member
        elif magic.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=file) as member:
                yield io.BufferedReader(member)
        else:
            yield file


def _member(path: Path, archive: zipfile.ZipFile) -> BinaryIO:
    names = archive.namelist()
    if len(names) != 1:
        raise DumpError(path, 1, f"the archive holds {len(names)} files, not one")
    if archive.infolist()[0].flag_bits & 1:
        raise DumpError(path, 1, "the archive is encrypted")
    try:
        return io.BufferedReader(archive.open(names[0]))  # type: ignore[type-var]
    except NotImplementedError as error:
        raise DumpError(path, 1, f"the archive can't be opened ({error})") from error


def _rows(path: Path, lines: BinaryIO) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    columns, number = 0, 0
    while line := lines.readline(LONGEST_LINE + 1):
        number += 1
        text = _text(path, number, line)
        if not columns:
            columns = _kind(path, text)
            if not text[:1].isdigit():
                continue
        match = _KINDS[columns][1].fullmatch(text)
        if match is None:
            raise DumpError(path, number, _reason(text, columns))
        yield number, columns, match.groups()


def _text(path: Path, number: int, line: bytes) -> str:
    if len(line) > LONGEST_LINE:
        raise DumpError(path, number, f"the line is longer than {LONGEST_LINE} bytes")
    try:
        return line.decode("ascii").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DumpError(path, number, "the line is not ASCII text") from error


def _kind(path: Path, text: str) -> int:
    columns = text.count(",") + 1
    if columns not in _KINDS:
        raise DumpError(path, 1, f"the number of columns was {columns}")
    return columns


def _reason(text: str, columns: int) -> str:
    values = text.split(",")
    if len(values) != columns:
        return f"the number of columns was {len(values)}, and {columns} in the first line"
    for column, value in zip(_KINDS[columns][0], values, strict=True):
        if not re.fullmatch(column.pattern, value):
            return f"{column.name} was {value[:40]!r}, not {column.meaning}"
    raise AssertionError(text)  # the columns match one by one, so the whole line had matched


def _aggregate(row: tuple[str, ...], columns: int) -> Aggregate:
    identity = int(row[0])
    first, last = (int(row[3]), int(row[4])) if columns == _AGGREGATE_COLUMNS else (identity,) * 2
    time = int(row[-3])
    return Aggregate(
        id=identity,
        first_id=first,
        last_id=last,
        time=time // 1000 if time >= FIRST_MICROSECONDS else time,
        price=Decimal(row[1]),
        quantity=Decimal(row[2]),
        buyer_maker=row[-2] in ("True", "true"),
    )


def _contradiction(aggregate: Aggregate, previous: int) -> str | None:
    if aggregate.id <= previous:
        return f"the id was {aggregate.id} after {previous}, and ids must rise"
    if not EARLIEST_TIME <= aggregate.time < LATEST_TIME:
        return f"the time was {aggregate.time} ms, outside 2010 to 2099"
    if aggregate.void:
        empty = aggregate.last_id < 0 and not aggregate.price and not aggregate.quantity
        return None if empty else "a void aggregate (first id -1) held a trade"
    if aggregate.last_id < aggregate.first_id:
        return f"the last id was {aggregate.last_id}, below the first, {aggregate.first_id}"
    if not aggregate.price or not aggregate.quantity:
        return "the price or the quantity was 0"
    return None
