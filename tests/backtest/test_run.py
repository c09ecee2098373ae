"""A backtest makes what import and replay make, and the same bytes wherever it runs."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest

import app
from app.backtest.extent import Reading
from app.backtest.run import Request, backtest
from app.backtest.source import Files
from app.core.events import Message, Output
from app.core.metrics import RunRecords
from app.market.dumps import Aggregate, read_dump
from app.market.importing import Dump, Manner, market
from app.market.listings import wanted
from app.pipeline import STAGES
from app.replay.play import play
from app.replay.sources.entering import Entering
from app.replay.sources.topics import entering
from app.runtime.codec import encode
from app.runtime.ports import Entry
from tests.replay.recording import MemoryTopics
from tests.replay.test_ring import DAY, XRP, real_account

HOUR = 3_600_000
MIDNIGHT = 1_570_752_000_000
SPAN = Manner(start=MIDNIGHT + HOUR, until=MIDNIGHT + 4 * HOUR)


def written(path: Path, rows: Iterator[Aggregate]) -> Path:
    """Write trades as a dump of aggregates: those of one time, price and side are one."""
    lines = []
    groups = groupby(rows, key=lambda row: (row.time, row.price, row.buyer_maker))
    for number, (_, group) in enumerate(groups, start=1):
        parts = list(group)
        first, quantity = parts[0], sum(part.quantity for part in parts)
        lines.append(
            f"{number},{first.price},{quantity},{first.id},{parts[-1].id},{first.time},"
            f"{first.buyer_maker},True\n"
        )
    path.write_text("".join(lines))
    return path


@pytest.fixture(params=["raw", "aggregates"])
def dump(request: pytest.FixtureRequest, tmp_path: Path) -> Dump:
    if request.param == "raw":
        return Dump(XRP, (DAY,))
    return Dump(XRP, (written(tmp_path / "XRPETH-aggTrades-x.csv", read_dump(DAY)),))


def source(dump: Dump) -> Files:
    return Files((dump,), (real_account(),), 60_000, SPAN)


async def decided(chunks: AsyncIterator[list[Entering]]) -> dict[str, bytes]:
    made: list[Output] = []
    await play(STAGES, chunks, made.append)
    return {each.message.name: encode(each.message) for each in made}


async def test_a_dump_is_decided_as_its_import_is_when_replayed(dump: Dump) -> None:
    (listing,) = wanted((real_account(),), 60_000, {})
    topics = MemoryTopics()
    # Another size of records: how trades are packed makes no difference.
    for timed in market(dump, listing, replace(SPAN, flush_count=7)):
        topics.put(Entry("trades", XRP.encode(), encode(Message(timed.record))))
    replayed = await decided(entering(topics))
    found = await decided(source(dump).chunks())
    assert found == replayed
    assert sum(name.startswith("execution/") for name in found) > 100


async def test_its_report_is_of_these_records(dump: Dump, tmp_path: Path) -> None:
    told: list[int] = []
    report = await backtest(
        Request(source(dump), folder=tmp_path / "out"), lambda count, _: told.append(count)
    )
    (account,) = report.summary.accounts
    assert (account.start, account.end) == (MIDNIGHT + HOUR + 60_000, MIDNIGHT + 4 * HOUR)
    found = await decided(source(dump).chunks())
    fills = sum(b'"type":"fill"' in raw for raw in found.values())
    assert fills > 10
    assert len((tmp_path / "out" / "fills.csv").read_text().splitlines()) == fills + 1
    assert report.info.inputs[0].records == told[-1]
    assert "No exchange was asked for the rules of BINANCE:XRPETH" in report.info.notes[0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(report.info.files)


def test_the_same_input_makes_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    made = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        (folder / DAY.name).write_bytes(DAY.read_bytes())
        words = ["backtest", DAY.name, "--out", "out", "--json"]
        words += ["--from", "2019-10-11T01:00Z", "--to", "2019-10-11T03:00Z"]
        code = f"import sys; from app.cli import run; sys.exit(run({words!r}))"
        root = str(Path(app.__file__).parent.parent)
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root, "TZ": f"UTC{seed}"}
        done = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", code],
            capture_output=True, check=True, cwd=folder, env=environment,
        )  # fmt: skip
        files = {path.name: path.read_bytes() for path in (folder / "out").iterdir()}
        made.append({**files, "stdout": done.stdout})
    assert made[0] == made[1]
    assert made[0]["stdout"] == made[0]["report.json"]
    assert len(made[0]) == 9


def test_what_is_read_is_told_by_instrument() -> None:
    reading = Reading(RunRecords())
    draw = random.Random(3)

    async def feed() -> None:
        async for chunk in source(Dump(XRP, (DAY,))).chunks():
            for one in chunk:
                reading.take(one)
                if draw.random() < 0.01:
                    return

    asyncio.run(feed())
    (found,) = reading.inputs({XRP: "x.csv"})
    assert found.name == "BINANCE:XRPETH: x.csv"
    assert found.records == reading.trades > 0
    assert found.extent.startswith("ids ")
