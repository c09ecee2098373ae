"""An import that is interrupted and begun again, or that meets what is not its own."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.core.events import Epoch, Join, Trades
from app.errors import INTERRUPTED, TERMINATED
from app.runtime.ports import Place
from app.runtime.topics import declared
from tests.configurations import REAL
from tests.integration.test_import import INSTRUMENT, raw_dump, refuse, succeed
from tests.integration.worker import LOCKSTEP, START, Installation, eventually, installed

COUNT = 30_000
CONFIGURATION = "market: {flush_count: 5}" + REAL
WORDS = ("--instrument", INSTRUMENT)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture
async def imported(servers: None, tmp_path: Path) -> AsyncIterator[Installation]:  # noqa: ARG001
    async with installed(tmp_path, with_schema=False, configuration=CONFIGURATION) as made:
        yield made


def long_dump(path: Path) -> Path:
    """Write a busy quarter of an hour, whose price goes up and down."""
    lines = (
        f"{number},0.00{142 + number // 700 % 5},7,1,{START + number * 30},{number % 3 == 0},True"
        for number in range(1, COUNT + 1)
    )
    path.write_text("\n".join(lines))
    return path


async def records(installation: Installation) -> int:
    """Return how many records stand on `trades`."""
    places = [Place("trades", number) for number in range(declared()["trades"].partitions)]
    return sum([(await installation.log.bounds(place))[1] for place in places])


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)]
)
async def test_it_goes_on_where_it_was_interrupted(
    imported: Installation, tmp_path: Path, number: int, code: int
) -> None:
    dump = long_dump(tmp_path / "dump.csv")
    process = await imported.start("-c", LOCKSTEP, "import", str(dump), *WORDS)
    await eventually(lambda: records(imported), lambda count: count > 100)
    assert await process.end(number) == code
    assert len(process.lines) == 1, process.lines
    assert process.lines[0].endswith("run the same command again to go on.\n")

    done = await succeed(imported, "import", str(dump), *WORDS)
    assert "trades imported, after" in done.out
    found = [message.record for message in await imported.messages("trades")]
    assert [id_ for each in found if isinstance(each, Trades) for id_ in each.id] == [
        *range(1, COUNT + 1)
    ]
    assert sum(isinstance(each, Epoch | Join) for each in found) == 2

    file = ("--file", str(dump), *WORDS)
    of_topics = await succeed(imported, "replay", "--json")
    of_file = await succeed(imported, "replay", "--json", *file)
    assert json.loads(of_topics.out)["digests"] == json.loads(of_file.out)["digests"]


async def test_another_market_is_refused_by_name_and_by_what_stands_there(
    imported: Installation, tmp_path: Path
) -> None:
    dump = raw_dump(tmp_path / "dump.csv")
    named = dump.rename(tmp_path / "ETHUSDT-trades-2019-10-11.csv")
    error = await refuse(imported, "import", str(named), *WORDS)
    assert "holds trades of ETHUSDT by its name, not of XRPETH" in error
    assert await records(imported) == 0

    dump = named.rename(dump)
    await succeed(imported, "import", str(dump), *WORDS)
    before = await records(imported)
    lines = dump.read_text().splitlines()
    identity, price, rest = lines[99].split(",", 2)
    lines[99] = f"{identity},9{price},{rest}"
    dump.write_text("\n".join(lines))
    error = await refuse(imported, "import", str(dump), *WORDS)
    assert f"dump.csv, line 100: the price of trade {identity} was 9{price[:6]}" in error
    assert f"and {price.rstrip('0')} stands on the topic" in error
    assert await records(imported) == before
