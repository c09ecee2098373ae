"""Results of a search enter as they come; a file leaves from which the search can go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from app.backtest.grid import Combination
from app.backtest.windows import Score, Window, WindowScore
from app.errors import ConfigurationError

NAME = "search.jsonl"
Results = dict[Combination, list[WindowScore]]


class Journal:
    """One line that says what is searched, then one for every combination that is done.

    Attributes:
        done: What stood there already, and what has come since.
    """

    def __init__(self, folder: Path | None, terms: Mapping[str, Any]) -> None:
        """Read what stands in a folder.

        Args:
            folder: Where; none: nothing is written.
            terms: What is searched, over which data: another search must not go on here.

        Raises:
            ConfigurationError: The folder holds another search.
        """
        self.done: Results = {}
        self._path = None if folder is None else folder / NAME
        if folder is None or self._path is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        head = orjson.dumps(dict(terms), option=orjson.OPT_SORT_KEYS)
        if not self._path.exists():
            self._path.write_bytes(head + b"\n")
            return
        self._read(self._path, head)

    def add(self, results: Results) -> None:
        """Note what was done."""
        self.done |= results
        if self._path is None:
            return
        with self._path.open("ab") as file:
            for combination, scores in results.items():
                line = {"values": combination, "windows": [asdict(each) for each in scores]}
                file.write(orjson.dumps(line) + b"\n")

    def _read(self, path: Path, head: bytes) -> None:
        raw = path.read_bytes()
        first, *lines = raw.split(b"\n")
        if first != head:
            raise ConfigurationError(
                f"{path} is of another search (other data, settings or ranges): name another "
                f"folder with --out."
            )
        # What follows the last line end was cut off while it was written.
        whole = raw[: raw.rfind(b"\n") + 1]
        if len(whole) < len(raw):
            path.write_bytes(whole)
        for line in lines[:-1]:
            document = orjson.loads(line)
            self.done[tuple(document["values"])] = [_score(each) for each in document["windows"]]


def _score(document: Mapping[str, Any]) -> WindowScore:
    return WindowScore(
        Window(**document["window"]), Score(**document["inside"]), Score(**document["outside"])
    )
