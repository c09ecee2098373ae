"""Forks of a run on a real broker and in a real database, and the command that makes them."""

from __future__ import annotations

import json
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.core.events import Account, Epoch
from app.forks.whatif_source import Topics
from app.forks.whatif_tables import Tables
from app.runtime.codec import decode
from app.runtime.ports import Entry, Place
from app.runtime.sink import SINK_TOPICS, SinkIntake
from app.runtime.topics import STATE, declared
from app.storage.database import Database
from app.times import format_time
from tests.forks.recorded import INTERVALS, after, by_name, moments, open_at, went_on
from tests.integration.conftest import NEEDED
from tests.integration.worker import Installation, installed
from tests.replay.market import INTERVAL, Market, end
from tests.replay.recording import MemoryTopics, recorded

pytestmark = pytest.mark.integration
FAST = "accounts.alpha.strategies.macd.fast=2"
SMALL = "accounts.alpha.risk.order_notional=50"


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        pytest.skip(f"needs a real broker and database: set {', '.join(missing)}, as ./run test")
    async with installed(tmp_path) as made:
        yield made


@pytest.fixture
async def run(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> MemoryTopics:
    """Put a run on the topics and into the tables, with a snapshot at every third decision."""
    monkeypatch.setattr("app.runtime.stage.DAY", 3 * INTERVAL)
    made = await recorded(Market(2, INTERVALS), random.Random(3), lead=2)
    for place, partition in made.stored.items():
        if place.topic in SINK_TOPICS or place.topic.startswith(STATE):
            await installation.log.append(
                [Entry(place.topic, each.key or b"", each.value or b"") for each in partition]
            )
    async with Database(installation.settings()) as database:
        sink = SinkIntake(database, installation.log, lambda _: None)
        places = [
            Place(name, n) for name in SINK_TOPICS for n in range(declared()[name].partitions)
        ]
        await sink.assign(dict.fromkeys(places))
        for place in places:
            await sink.take({place: await installation.log.read(place)})
    return made


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
    installation: Installation, run: MemoryTopics, tmp_path: Path
) -> None:
    assert run.derived()
    at = format_time(end(20) + 1_500)
    words = ("fork", "run", "--at", at, "--set", FAST)
    done = await installation.run(*words, "--json", "--out", str(tmp_path / "out"))
    assert done.code == 0, done.error
    found = json.loads(done.out)
    assert (tmp_path / "out" / "report.json").read_text() == done.out
    assert b"Where alpha parts" in (tmp_path / "out" / "report.html").read_bytes()
    (variant,) = found["variants"]
    (parting,) = variant["first_differences"]
    assert (parting["what"], parting["strategy"]) == ("view", "macd")
    assert "macd saw SIM:" in parting["why"]["parent"]
    assert "macd saw SIM:" in parting["why"]["fork"]
    from_tables = await installation.run(*words, "--json", "--from-database")
    assert from_tables.code == 0, from_tables.error
    assert _without_source(json.loads(from_tables.out)) == _without_source(found)


def _without_source(found: dict[str, Any]) -> dict[str, Any]:
    """Return a document without what tells from which snapshots it began, and where rows stood."""
    text = json.dumps({**found, "restored_from": None}, sort_keys=True)
    return json.loads(text)  # type: ignore[no-any-return]


async def test_variants_in_processes_are_told_in_lines(
    installation: Installation, run: MemoryTopics
) -> None:
    assert run.derived()
    words = ("--variant", f"fast:{FAST}", "--variant", f"both:{FAST},{SMALL}", "--processes", "2")
    done = await installation.run(
        "fork", "run", "--at", format_time(end(20)), "--until", format_time(end(30)), *words
    )
    assert done.code == 0, done.error
    lines = [line.split("\t") for line in done.out.splitlines()]
    assert ["account alpha", "figure", "parent", "fast", "both"] in lines
    assert any(line[0] == "both alpha" and "first differs" in line[1] for line in lines)
    assert any(line[0] == "fast" and "macd was begun anew on the 27" in line[1] for line in lines)


async def test_what_can_not_be_run_is_said_in_a_sentence(
    installation: Installation, run: MemoryTopics
) -> None:
    assert run.derived()
    for words, told in (
        (("--at", "now"), "nothing is recorded after now"),
        (("--at", format_time(end(9)), "--until", format_time(end(3))), "nothing lies between"),
        (("--at", format_time(end(9)), "--set", "accounts.x.capital=1"), "no account 'x'"),
        (("--at", format_time(end(9)), "--variant", "a=b"), "must be like fast:accounts"),
    ):
        done = await installation.run("fork", "run", *words)
        assert (done.code, done.out) == (2, "")
        assert told in done.error
