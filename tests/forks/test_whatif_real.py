"""Forks of a run on a real broker and in a real database, and the command that makes them."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from click.testing import CliRunner, Result

from app.cli import lockstep
from app.core.events import Account, Epoch
from app.errors import ConfigurationError
from app.forks.whatif_source import Topics
from app.forks.whatif_tables import Tables
from app.replay.recorded import event_time
from app.runtime.codec import decode
from app.runtime.ports import Entry, Place
from app.runtime.sink import SINK_TOPICS, SinkIntake
from app.runtime.topics import declared
from app.storage.database import Database
from app.times import format_time
from tests.forks.recorded import INTERVALS, after, by_name, moments, open_at, went_on
from tests.integration.conftest import NEEDED
from tests.integration.worker import PATIENCE, Installation, installed
from tests.replay.market import INTERVAL, Market, end
from tests.replay.recording import MemoryTopics, recorded

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]
FAST = "accounts.alpha.strategies.macd.fast=2"
END = end(INTERVALS + 1)
SMALL = "accounts.alpha.risk.order_notional=50"


def require_servers() -> None:
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        pytest.skip(f"needs a real broker and database: set {', '.join(missing)}, as ./run test")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def installation(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """An installation for all tests of a file, which only read its run."""
    require_servers()
    async with installed(tmp_path_factory.mktemp("installation")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def unused(tmp_path: Path) -> AsyncIterator[Installation]:
    """An installation for one test alone."""
    require_servers()
    async with installed(tmp_path) as made:
        yield made


async def made_run() -> MemoryTopics:
    """Return a run in memory, with a snapshot at every third decision."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.runtime.stage.DAY", 3 * INTERVAL)
        return await recorded(Market(2, INTERVALS), random.Random(3), lead=2)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def run(installation: Installation) -> MemoryTopics:
    """Put a run on the topics and into the tables."""
    made = await made_run()
    await put(installation, made, 0, END)
    async with Database(installation.settings()) as database:
        sink = SinkIntake(database, installation.log, lambda _: None)
        places = [
            Place(name, n) for name in SINK_TOPICS for n in range(declared()[name].partitions)
        ]
        await sink.assign(dict.fromkeys(places))
        for place in places:
            await sink.take({place: await installation.log.read(place)})
    return made


async def put(installation: Installation, made: MemoryTopics, first: int, last: int) -> None:
    """Put on the topics what has come to a time by its partition's newest record."""
    for place, partition in made.stored.items():
        if place.topic not in SINK_TOPICS:
            continue
        time, entries = 0, []
        for stored in partition:
            time = max(time, event_time(decode(stored.value)))
            if first <= time < last:
                entries.append(Entry(place.topic, stored.key or b"", stored.value or b""))
        await installation.log.append(entries)


Invoke = Callable[..., Awaitable[Result]]


@pytest.fixture
def invoke(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    return commands(installation, monkeypatch)


def commands(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Return what runs a command of ours in this process, with an installation's settings."""
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)

    async def run(*words: str) -> Result:
        runner = CliRunner()
        return await asyncio.to_thread(runner.invoke, lockstep, words, standalone_mode=False)

    return run


async def test_unchanged_it_is_its_parent_from_topics_and_from_tables(
    installation: Installation, run: MemoryTopics
) -> None:
    derived = run.derived()
    topics, tables = Topics(installation.cluster), Tables(installation.settings())
    began: dict[str, set[int | None]] = {"topics": set(), "tables": set()}
    working = 0
    for time in moments(12, 6):
        working += bool(open_at(time, derived))
        point, made = await went_on(topics, time)
        assert by_name(made) == after(point.cut, derived)
        began["topics"].add(point.began)
        point, made = await went_on(tables, time)
        assert read(by_name(made)) == read(after(point.cut, derived))
        began["tables"].add(point.began)
    assert working, began
    assert len(began["topics"]) > 1
    assert len(began["tables"] - {None}) > 1


def read(found: dict[str, bytes]) -> dict[str, Any]:
    """Return records as they compare: tables forget in which order a configuration's keys stood."""
    return {name: _read(raw) for name, raw in found.items()}


def _read(raw: bytes) -> Any:
    message = decode(raw)
    return message if isinstance(message.record, Epoch | Account) else raw


async def test_the_command_compares_and_explains(
    invoke: Invoke, run: MemoryTopics, tmp_path: Path
) -> None:
    assert run.derived()
    words = ("fork", "run", "--at", format_time(end(20) + 1_500), "--set", FAST, "--json")
    done = await invoke(*words, "--out", str(tmp_path / "out"))
    assert done.exception is None, done.exception
    found = json.loads(done.stdout)
    assert (tmp_path / "out" / "report.json").read_text() == done.stdout
    assert b"Where alpha parts" in (tmp_path / "out" / "report.html").read_bytes()
    (variant,) = found["variants"]
    (parting,) = variant["first_differences"]
    assert (parting["what"], parting["strategy"]) == ("view", "macd")
    assert "macd saw SIM:" in parting["why"]["parent"]
    assert "macd saw SIM:" in parting["why"]["fork"]
    again = await invoke(*words, "--from-database")
    assert again.exception is None, again.exception
    assert json.loads(again.stdout) | {"restored_from": found["restored_from"]} == found


async def test_variants_in_processes_are_told_in_lines(invoke: Invoke, run: MemoryTopics) -> None:
    assert run.derived()
    variants = ("--variant", f"fast:{FAST}", "--variant", f"both:{FAST},{SMALL}")
    span = ("--at", format_time(end(20)), "--until", format_time(end(30)))
    done = await invoke("fork", "run", *span, *variants, "--processes", "2")
    assert done.exception is None, done.exception
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert ["account alpha", "figure", "parent", "fast", "both"] in lines
    assert any(line[0] == "both alpha" and "first differs" in line[1] for line in lines)
    assert any(line[0] == "fast" and "macd was begun anew on the 27" in line[1] for line in lines)


async def test_a_search_tries_every_value_and_ranks_them(invoke: Invoke, run: MemoryTopics) -> None:
    assert run.derived()
    span = ("--at", format_time(end(20)), "--until", format_time(end(30)))
    search = ("--search", "accounts.alpha.strategies.macd.slow=4,5,6,7,8", "--processes", "1")
    done = await invoke("fork", "run", *span, *search, "--json")
    assert done.exception is None, done.exception
    found = {each["name"]: each for each in json.loads(done.stdout)["variants"]}
    assert list(found) == [f"slow={n}" for n in range(4, 9)]
    assert found["slow=6"]["first_differences"] == []
    assert found["slow=6"]["changed"] == []


async def test_from_now_on_it_waits_for_the_run_to_come_to_the_end(
    unused: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke = commands(unused, monkeypatch)
    said: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(
        "app.commands.fork._say", lambda text: loop.call_soon_threadsafe(said.put_nowait, text)
    )
    made = await made_run()
    await put(unused, made, 0, end(24))
    words = ("--until", format_time(end(34)), "--set", SMALL)
    asked = asyncio.create_task(invoke("fork", "run", "--at", "now", *words))
    assert "waiting until the run" in await asyncio.wait_for(said.get(), PATIENCE)
    await put(unused, made, end(24), END)
    done = await asyncio.wait_for(asked, PATIENCE)
    assert done.exception is None, done.exception
    assert "account alpha\tfigure\tparent\tfork" in done.stdout


async def test_what_can_not_be_run_is_said_in_a_sentence(invoke: Invoke, run: MemoryTopics) -> None:
    assert run.derived()
    for words, told in (
        (("--at", "now"), "nothing is recorded after now"),
        (("--at", format_time(end(9)), "--until", format_time(end(3))), "nothing lies between"),
        (("--at", format_time(end(9)), "--set", "accounts.x.capital=1"), "no account 'x'"),
        (("--at", format_time(end(9)), "--variant", "a=b"), "must be like fast:accounts"),
    ):
        done = await invoke("fork", "run", *words)
        assert isinstance(done.exception, ConfigurationError)
        assert told in str(done.exception)
        assert done.stdout == ""
