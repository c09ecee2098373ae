"""Records enter; a file a topic leaves, CSV or Parquet, with a column a field.

Columns: `type`, `id`, `origin`, `key`, then the fields of the topic's own types of record. What is
nested is JSON text, decimals are text in CSV and in Parquet, so that no digit is lost; times are
milliseconds since the epoch. Records that are passed on (epoch, history, join, leave) stand with
their whole JSON in the last column, `body`.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TextIO

import orjson

from app.core.events import RECORDS, Epoch, History, Join, Leave, Output
from app.errors import ConfigurationError, LockstepError

PASSED_ON = {record.TYPE for record in (Epoch, History, Join, Leave)}
LINEAGE = ("type", "id", "origin", "key")
BODY = "body"
ROWS = 20_000
PART = ".part"


class Sheet(Protocol):
    """One file: rows go in."""

    def write(self, row: list[Any]) -> None:
        """Take a row."""

    def close(self) -> None:
        """Write what is left and close the file."""


Opener = Callable[[Path, dict[str, type]], Sheet]


class Folder:
    """Writes a file a topic; none has its name before all are whole."""

    def __init__(self, path: Path, suffix: str, open_sheet: Opener) -> None:
        self.path = path
        self._suffix = suffix
        self._open = open_sheet
        self._sheets: dict[str, Sheet] = {}

    def take(self, output: Output, raw: bytes) -> None:
        """Write a record, given its bytes on the wire."""
        sheet = self._sheets.get(output.topic)
        if sheet is None:
            part = self._file(output.topic, PART)
            sheet = self._sheets[output.topic] = self._open(part, columns(output.topic))
        sheet.write(_row(output, raw))

    async def flush(self) -> None:
        """Do nothing: rows are written as they come."""

    async def close(self) -> None:
        """Close every file and give it its name."""
        for topic, sheet in self._sheets.items():
            sheet.close()
            self._file(topic, PART).rename(self._file(topic))

    def _file(self, topic: str, end: str = "") -> Path:
        return self.path / f"{topic}{self._suffix}{end}"


def csv_folder(path: Path) -> Folder:
    """Return a writer of CSV; raises ConfigurationError where files are there already."""
    return Folder(_empty(path, ".csv"), ".csv", _CsvSheet)


def parquet_folder(path: Path) -> Folder:
    """Return a writer of Parquet.

    Raises:
        LockstepError: pyarrow is not installed.
        ConfigurationError: Files are there already.
    """
    try:
        import pyarrow.parquet  # noqa: F401, PLC0415 - an optional extra
    except ImportError as error:
        raise LockstepError(
            "Parquet needs pyarrow, which is not installed: `pip install 'lockstep[parquet]'`, or "
            "choose --format csv."
        ) from error
    return Folder(_empty(path, ".parquet"), ".parquet", _ParquetSheet)


@functools.cache
def columns(topic: str) -> dict[str, type]:
    """Return a topic's columns and whether each holds whole numbers, truth, floats or text."""
    found: dict[str, type] = dict.fromkeys(LINEAGE, str)
    for record in own_types(topic):
        hints = typing.get_type_hints(record)
        for field in dataclasses.fields(record):
            kind = _kind(hints[field.name])
            found[field.name] = kind if found.get(field.name, kind) is kind else str
    return found | {BODY: str}


def own_types(topic: str) -> list[Any]:
    """Return the types of record that a stage makes for a topic."""
    from app.runtime.topics import declared  # noqa: PLC0415 - loads a Kafka client

    names = declared()[topic].records
    return [RECORDS[name] for name in names if name not in PASSED_ON and name != "command"]


def _kind(hint: Any) -> type:
    kinds = [kind for kind in (typing.get_args(hint) or (hint,)) if kind is not type(None)]
    if typing.get_origin(hint) in (tuple, dict) or len(kinds) != 1:
        return str
    return kinds[0] if kinds[0] in (int, bool, float) else str


def _row(output: Output, raw: bytes) -> list[Any]:
    document = orjson.loads(raw)
    body = raw.decode() if document["type"] in PASSED_ON else None
    values = {} if body else document
    lineage = (document["type"], document["id"], document["origin"], output.key)
    names = list(columns(output.topic))[len(LINEAGE) : -1]
    return [*lineage, *(_cell(values.get(name)) for name in names), body]


def _cell(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, list | dict) else value


def _empty(path: Path, suffix: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    there = next(iter(sorted(path.glob(f"*{suffix}"))), None)
    if there is not None:
        raise ConfigurationError(f"{there} is there already: name an empty folder with --out.")
    return path


class _CsvSheet:
    """A CSV file with a header."""

    def __init__(self, path: Path, names: dict[str, type]) -> None:
        self._file: TextIO = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(names)

    def write(self, row: list[Any]) -> None:
        """Write a row; truth as JSON has it, nothing where there is none."""
        self._writer.writerow([_truth(cell) for cell in row])

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _truth(cell: Any) -> Any:
    return ("true" if cell else "false") if isinstance(cell, bool) else cell


class _ParquetSheet:
    """A Parquet file, a group of rows at a time."""

    def __init__(self, path: Path, names: dict[str, type]) -> None:
        import pyarrow as pa  # noqa: PLC0415 - an optional extra
        from pyarrow.parquet import ParquetWriter  # noqa: PLC0415

        kinds = {int: pa.int64(), bool: pa.bool_(), float: pa.float64()}
        self._schema = pa.schema(
            [(name, kinds.get(kind, pa.string())) for name, kind in names.items()]
        )
        self._table = pa.Table
        self._writer = ParquetWriter(path, self._schema)
        self._rows: list[list[Any]] = []

    def write(self, row: list[Any]) -> None:
        """Take a row; write when there are enough."""
        self._rows.append(row)
        if len(self._rows) == ROWS:
            self._group()

    def close(self) -> None:
        """Write what is left and close the file."""
        if self._rows:
            self._group()
        self._writer.close()

    def _group(self) -> None:
        self._writer.write_table(self._table.from_pydict(dict(self._columns()), self._schema))
        self._rows.clear()

    def _columns(self) -> Iterator[tuple[str, list[Any]]]:
        for number, field in enumerate(self._schema):
            values = [row[number] for row in self._rows]
            yield field.name, [_fit(value, text=str(field.type) == "string") for value in values]


def _fit(value: Any, *, text: bool) -> Any:
    return str(value) if text and value is not None else value
