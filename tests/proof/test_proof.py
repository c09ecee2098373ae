"""The parts of the proof on small runs: what is changed is named, what is left out is counted."""

from __future__ import annotations

import dataclasses
import os
import random
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from app.core.events import Account
from app.market.dumps import read_dump
from app.pipeline import STAGES
from app.replay.verify import Verdict, verify
from app.runtime.ports import Entry
from tests.integration.worker import HOUR, Installation, installed
from tests.proof.damage import copied, damages, named
from tests.proof.market import Days
from tests.proof.processes import lockstep, peak_of
from tests.proof.protocol import Protocol
from tests.proof.spans import Part, before
from tests.replay.market import INTERVAL, Market, end
from tests.replay.recording import MemoryTopics, recorded
from tests.replay.test_ring import TOPICS

NEEDED = ("LOCKSTEP_KAFKA__BOOTSTRAP", "LOCKSTEP_DATABASE__PASSWORD")
BALLAST = 300
"""MiB, more than the command takes."""


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        pytest.skip(f"needs a real broker and database: set {', '.join(missing)}, as ./run test")
    async with installed(tmp_path, with_schema=False) as made:
        yield made


def with_slippage(account: Account) -> Account:
    return dataclasses.replace(
        account, execution=dataclasses.replace(account.execution, slippage=Decimal(7))
    )


@pytest.mark.integration
@pytest.mark.timeout(900)
async def test_a_byte_a_candle_and_a_parameter_are_named_exactly(
    installation: Installation, tmp_path: Path
) -> None:
    run = await recorded(Market(3, 24), random.Random(0))
    await installation.log.append(
        [
            Entry(stored.topic, stored.key or b"", stored.value or b"")
            for place, partition in run.stored.items()
            if place.topic in {"trades", *TOPICS}
            for stored in partition
        ]
    )
    folder = tmp_path / "copy"
    folder.mkdir()
    changed = await damages(installation, with_slippage)
    assert len(changed) == 3
    for damage in changed:
        async with installed(folder, with_schema=False) as copy:
            await copied(installation, copy, damage)
            found = await named(copy, damage)
        assert found.wrong == ()
        assert "1970" not in found.said.out  # an epoch has no time


def part(verdict: Verdict) -> Part:
    found = Part()
    for topic, count in verdict.counts.items():
        found.counts[topic] = count
        found.sums[topic] = int(verdict.digests[topic], 16)
    return found


@pytest.mark.parametrize("seed", range(3))
async def test_before_the_snapshots_and_after_them_is_the_whole(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.runtime.stage.DAY", 2 * INTERVAL)
    run: MemoryTopics = await recorded(Market(3, 30), random.Random(seed), lead=1 + seed)
    time = end(15 + seed) + seed
    whole, tail = part(await verify(run, STAGES)), part(await verify(run, STAGES, time))
    head = await before(run, STAGES, time)
    assert head + tail == whole
    assert 0 < tail.counts.total() < whole.counts.total()


def test_the_same_numbers_make_the_same_days(tmp_path: Path) -> None:
    few = Days(seed=3, symbols=("AAAUSDT", "BBBUSDT"), days=1, trades=5_000, piece=8 * HOUR)
    files = few.write(tmp_path / "one")
    again = few.write(tmp_path / "two")
    assert [len(each) for each in files.values()] == [3, 3]
    for symbol, parts in files.items():
        assert [part.read_bytes() for part in parts] == [
            part.read_bytes() for part in again[symbol]
        ]
        rows = [[*read_dump(part)] for part in parts]
        ids = [row.id for piece in rows for row in piece]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        for number, piece in enumerate(rows):
            begin = few.start + number * few.piece
            assert all(begin <= row.time < begin + few.piece for row in piece)
    rows_of_all = [row for parts in files.values() for part in parts for row in read_dump(part)]
    assert few.trades <= len(rows_of_all) < 2 * few.trades


async def test_the_memory_of_a_command_is_its_own() -> None:
    ballast = bytearray(os.urandom(1 << 20)) * BALLAST
    done = await lockstep(dict(os.environ), "--help")
    assert (done.code, "verify" in done.out) == (0, True)
    assert 5 < done.peak < BALLAST < peak_of("self")
    assert len(ballast) == BALLAST << 20


def test_what_does_not_hold_is_kept(tmp_path: Path) -> None:
    protocol = Protocol(tmp_path / "proof.txt")
    protocol.holds("one", holds=True)
    protocol.holds("two", holds=False)
    assert protocol.wrong == ["two"]
    assert (tmp_path / "proof.txt").read_text() == "ok    one\nWRONG two\n"
