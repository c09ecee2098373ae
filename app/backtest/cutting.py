"""Dumps and a time enter; dumps that end there leave, in a folder of their own."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, cast

from app.market.dumps import read_dump
from app.market.importing import Dump


@dataclass(frozen=True, slots=True)
class Cut:
    """Dumps without what comes after a time.

    Attributes:
        dumps: What is left of each.
        hidden: The original files that hold more, and what is left of them.
    """

    dumps: tuple[Dump, ...]
    hidden: dict[Path, Path]


def cut(dumps: Sequence[Dump], time: int, folder: Path) -> Cut:
    """Write what dumps hold up to the first trade after a time (milliseconds since the epoch UTC).

    A file keeps its form, packed or not, with or without a header. `folder` must not exist yet.
    """
    folder.mkdir()
    left: list[Dump] = []
    hidden: dict[Path, Path] = {}
    for dump in dumps:
        files: list[Path] = []
        over = False
        for path in dump.files:
            kept, more = (0, True) if over else _kept(path, time)
            over = over or more
            if not more:
                files.append(path)
                continue
            part = folder / f"{len(hidden)}-{path.name}"
            _write(path, part, kept)
            hidden[path] = part
            if kept:
                files.append(part)
        left.append(Dump(dump.instrument, tuple(files)))
    return Cut(tuple(left), hidden)


def _kept(path: Path, time: int) -> tuple[int, bool]:
    """Return how many rows a file has before the first one after a time, and if there is one."""
    count = 0
    for row in read_dump(path):
        if row.time > time:
            return count, True
        count += 1
    return count, False


def _write(path: Path, part: Path, count: int) -> None:
    with _reading(path) as source, _writing(part, _form(path), path.stem) as target:
        first = source.readline()
        if not first[:1].isdigit():
            target.write(first)
        elif count:
            target.write(first)
            count -= 1
        target.writelines(islice(source, count))


def _form(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(2)


@contextmanager
def _reading(path: Path) -> Iterator[IO[bytes]]:
    form = _form(path)
    if form == b"PK":
        with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as member:
            yield member
    elif form == b"\x1f\x8b":
        with gzip.open(path, "rb") as packed:
            yield cast("IO[bytes]", packed)
    else:
        with path.open("rb") as file:
            yield file


@contextmanager
def _writing(part: Path, form: bytes, name: str) -> Iterator[IO[bytes]]:
    if form == b"PK":
        with zipfile.ZipFile(part, "w") as archive, archive.open(name, "w") as member:
            yield member
    elif form == b"\x1f\x8b":
        with gzip.open(part, "wb", compresslevel=1) as packed:
            yield cast("IO[bytes]", packed)
    else:
        with part.open("wb") as file:
            yield file
