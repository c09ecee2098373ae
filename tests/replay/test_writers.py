"""Files hold what was made, field by field, and a hash tells whether two replays made the same."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from pyarrow import parquet

from app.core.events import Output
from app.errors import ConfigurationError
from app.replay.writers.files import Folder, columns, csv_folder, parquet_folder
from app.replay.writers.tally import Tally
from app.runtime.codec import encode
from tests.replay.market import Market
from tests.replay.test_engine import entering, run


@pytest.fixture(scope="module")
def made() -> list[Output]:
    return run(entering(Market(3, 24)))[1]


async def written(folder: Folder, outputs: list[Output]) -> None:
    for output in outputs:
        folder.take(output, encode(output.message))
    await folder.flush()
    await folder.close()


def expected(outputs: list[Output], topic: str) -> list[dict[str, Any]]:
    """Return each record of a topic as a row, in the simplest way."""
    found = []
    for output in outputs:
        if output.topic == topic:
            document = orjson.loads(encode(output.message))
            row = dict.fromkeys(columns(topic)) | {"key": output.key}
            if document["type"] in ("epoch", "history", "join", "leave"):
                row["body"] = encode(output.message).decode()
                document = {name: document[name] for name in ("type", "id", "origin")}
            found.append(row | document)
    return found


def text(value: Any) -> str:
    if isinstance(value, list | dict):
        return orjson.dumps(value).decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


async def test_csv_holds_every_field_as_text(made: list[Output], tmp_path: Path) -> None:
    await written(csv_folder(tmp_path / "new"), made)
    topics = {output.topic for output in made}
    assert {path.name for path in (tmp_path / "new").iterdir()} == {f"{t}.csv" for t in topics}
    for topic in topics:
        with (tmp_path / "new" / f"{topic}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        wanted = expected(made, topic)
        assert rows == [{name: text(value) for name, value in row.items()} for row in wanted]


async def test_parquet_holds_the_same_with_types(made: list[Output], tmp_path: Path) -> None:
    await written(parquet_folder(tmp_path), made)
    for topic in {output.topic for output in made}:
        rows = parquet.read_table(tmp_path / f"{topic}.parquet").to_pylist()
        assert rows == [
            {
                name: orjson.dumps(value).decode() if isinstance(value, list | dict) else value
                for name, value in row.items()
            }
            for row in expected(made, topic)
        ]


def suffixes(path: Path) -> set[str]:
    return {each.suffix for each in path.iterdir()}


async def test_nothing_has_its_name_before_it_is_whole(made: list[Output], tmp_path: Path) -> None:
    folder = csv_folder(tmp_path)
    for output in made:
        folder.take(output, encode(output.message))
    assert suffixes(tmp_path) == {".part"}
    await folder.close()


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fills.csv").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"fills\.csv is there already"):
        csv_folder(tmp_path)


def test_the_hash_is_of_the_set_and_of_every_byte(made: list[Output]) -> None:
    def digests(outputs: list[Output]) -> dict[str, str]:
        tally = Tally()
        for output in outputs:
            tally.take(output, encode(output.message))
        return tally.digests()

    other = random.Random(1).sample(made, len(made))
    assert digests(other) == digests(made)
    assert digests(made[:-1])[made[-1].topic] != digests(made)[made[-1].topic]
