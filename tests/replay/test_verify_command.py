"""`lockstep verify` on a real broker: what it prints, how it ends, and how it follows a run."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.commands.stack import CHECKOUT
from app.commands.verify import incomplete, so_far
from app.config import load
from app.core.events import RiskReport
from app.dashboard.history import runs
from app.dashboard.history.lists import Page
from app.dashboard.history.store import View
from app.replay.verify import Verdict
from app.replay.writers.proofs import Proofs
from app.runtime.codec import decode
from app.runtime.ports import Entry
from app.storage import migrations
from app.storage.database import Database
from tests.integration.worker import LOCKSTEP, PATIENCE, Installation, installed
from tests.replay.market import START, Market
from tests.replay.recording import MemoryTopics, recorded
from tests.replay.test_ring import TOPICS

NEEDED = ("LOCKSTEP_KAFKA__BOOTSTRAP", "LOCKSTEP_DATABASE__PASSWORD")
INTERVALS = 24


def test_what_could_not_be_compared_is_one_sentence() -> None:
    names = [f"candles/SIM:{letter}" for letter in "ABCDE"]
    late = Verdict(unproven=dict.fromkeys(names, "late"), truncated={"trades/1": 7, "fills/0": 3})
    assert incomplete(late).startswith(
        "candles/SIM:A, candles/SIM:B, candles/SIM:C and 2 others could not be compared: retention "
        "has taken the beginning of their inputs (trades/1 at offset 7, fills/0 at offset 3)"
    )
    hole = Verdict(unproven={"risk/x": "number 3 was due."})
    assert incomplete(hole).startswith("risk/x could not be stepped to the end")
    assert incomplete(hole).endswith("number 3 was due.")


def test_how_far_it_has_come_is_one_line() -> None:
    verdict = Verdict(counts={"candles": 2, "fills": 3}, through=1_570_752_060_000)
    assert so_far(verdict) == "5 records are equal, through 2019-10-11T00:01:00Z"
    assert so_far(Verdict()) == "0 records are equal"


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        pytest.skip(f"needs a real broker and database: set {', '.join(missing)}, as ./run test")
    async with installed(tmp_path, with_schema=False) as made:
        yield made


@pytest.fixture
async def run() -> MemoryTopics:
    return await recorded(Market(3, INTERVALS), random.Random(0))


async def put(installation: Installation, run: MemoryTopics) -> None:
    await installation.log.append(
        [
            Entry(stored.topic, stored.key or b"", stored.value or b"")
            for place, partition in run.stored.items()
            if place.topic in {"trades", *TOPICS}
            for stored in partition
        ]
    )


def forged(run: MemoryTopics) -> Entry:
    """Return a record that no input makes."""
    stored = next(
        stored
        for place, partition in run.stored.items()
        if place.topic == "risk"
        for stored in partition
        if isinstance(decode(stored.value).record, RiskReport)
    )
    identity = decode(stored.value).identity
    assert identity is not None
    value = (stored.value or b"").replace(
        str(identity).encode(), str(identity).encode() + b"000000"
    )
    return Entry("risk", stored.key or b"", value)


async def following(installation: Installation) -> Process:
    """Return `verify --follow` once it has said how far it has come."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", LOCKSTEP, "verify", "--follow",
        cwd=CHECKOUT, env=installation.environment, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
    assert b"records are equal, through 2019-10-11" in line
    return process


@pytest.mark.integration
async def test_a_run_is_equal_until_a_record_is_forged(
    installation: Installation, run: MemoryTopics
) -> None:
    await put(installation, run)
    done = await installation.run("verify")
    assert done.code == 0, done.error
    assert done.out.startswith(f"equal: {len(run.derived())} records (candles ")
    assert done.out.count("\n") == 1
    assert "Not recorded in the table `replays`: the database has no tables" in done.error
    done = await installation.run("verify", "--json")
    assert json.loads(done.out)["counts"]["candles"] > INTERVALS

    process = await following(installation)
    await installation.log.append([forged(run)])
    out, error = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 1, error
    assert b"first difference: risk/" in out
    assert b"nothing: no input makes it" in out
    assert (await installation.run("verify")).code == 1


@pytest.mark.integration
async def test_what_it_found_is_what_the_dashboard_shows(
    installation: Installation, run: MemoryTopics
) -> None:
    await put(installation, run)
    async with Database(installation.settings()) as database:
        await migrations.apply(database)
        assert await shown(database) == (None, 0)
        assert (await installation.run("verify", "--from", "2019-10-11T00:00Z")).code == 0
        proof, _ = await shown(database)
        assert (proof["state"], proof["differences"], proof["first"]) == ("equal", 0, None)
        assert proof["through"] >= START
        process = await following(installation)
        forgery = forged(run)
        await installation.log.append([forgery])
        await asyncio.wait_for(process.communicate(), PATIENCE)
        proof, count = await shown(database)
    assert count == 2  # however often it was brought up to date
    assert (proof["state"], proof["differences"]) == ("different", 1)
    assert proof["records"] >= len(run.derived())
    name = decode(forgery.value).name
    assert proof["first"]["says"].endswith("and replayed as nothing")
    assert (proof["first"]["name"], proof["first"]["topic"]) == (name, "risk")
    assert proof["first"]["offset"] > 0


@pytest.mark.integration
async def test_what_is_no_proof_is_not_recorded(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCKSTEP_CONFIG", str(installation.folder))
    monkeypatch.setenv("LOCKSTEP_DATABASE__SCHEMA", installation.schema)
    proofs = Proofs(load(), None)
    assert await proofs.note(Verdict(unproven={"risk/x": "why"})) is None
    assert "`lockstep migrate` makes them" in (await proofs.note(Verdict()) or "")
    monkeypatch.delenv("LOCKSTEP_DATABASE__PASSWORD")
    monkeypatch.setenv("LOCKSTEP_LOCAL_DIR", str(installation.folder))  # not what `up` wrote
    assert await Proofs(load(), None).note(Verdict()) is None


async def shown(database: Database) -> tuple[Any, int]:
    """Return what the dashboard shows of verifications, and how many there are."""
    async with database.connection() as connection:
        view = View(connection, "")
        listed = await runs.replays(view, Page(10))
        return await runs.proof(view), len(listed["rows"])


@pytest.mark.integration
async def test_followed_and_stopped_it_says_how_far_it_has_come(
    installation: Installation, run: MemoryTopics
) -> None:
    await put(installation, run)
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        process = await following(installation)
        process.send_signal(number)
        _, error = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode == code, error
        assert f"stopped: {len(run.derived())} records are equal".encode() in error


@pytest.mark.integration
async def test_a_time_that_is_none_is_refused(installation: Installation) -> None:
    done = await installation.run("verify", "--from", "yesterday")
    assert done.code == 2
    assert "'yesterday' is no time" in done.error
