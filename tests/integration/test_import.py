"""A dump imported and replayed, backtested, or traded live: the same orders and fills."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from app.commands.stack import CHECKOUT
from app.core.events import (
    Booked,
    Clock,
    Fill,
    Join,
    Message,
    Orders,
    Output,
    StageState,
    Trades,
)
from app.core.flow import VERSION
from app.market.dumps import Aggregate, read_dump
from app.market.exchange import DumpMarket, ExchangeSettings, LocalExchange
from app.market.state import FeedState
from app.replay.writers.tally import Tally
from app.report import CsvFiles
from app.runtime import topics
from app.runtime.codec import decode, encode, encode_state
from app.runtime.kafka import KafkaLog
from app.runtime.ports import Entry, Place
from app.runtime.sink import SINK_TOPICS
from app.storage.database import Database
from app.storage.store import PostgresStore
from tests.configurations import REAL
from tests.integration.worker import (
    HOUR,
    MINUTE,
    START,
    Done,
    Installation,
    administrator,
    eventually,
    installed,
)

XRPETH = CHECKOUT / "tests" / "data" / "XRPETH-trades-2019-10-11.csv"
INSTRUMENT = "BINANCE:XRPETH"
END = START + 100 * MINUTE
CONFIGURATION = (
    "market: {patience: 5s, history_count: 30}\nkafka: {session_timeout: 6s}"
    + REAL
    + """    execution: {participation: 0.5}
  shadow:
    quote: ETH
    capital: 500
    instruments: [BINANCE:XRPETH]
    strategies:
      macd: {fast: 3, slow: 9, signal: 3}
    risk: {order_notional: 300, position_notional: 500, gross_notional: 1000,
           daily_loss: 250, drawdown: 0.9, stale_after: 1h}
"""
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def rows() -> list[Aggregate]:
    return [row for row in read_dump(XRPETH) if row.time < END]


def raw_dump(path: Path) -> Path:
    """Write the trades of the first hours as a dump of raw trades."""
    path.write_text(
        "".join(
            f"{row.id},{row.price},{row.quantity},{row.price * row.quantity},{row.time},"
            f"{row.buyer_maker},True\n"
            for row in rows()
        )
    )
    return path


def aggregate_dump(path: Path) -> Path:
    """Write the same trades as a dump of aggregates, ids of its own and a void one."""
    lines, number = [], 7_000
    for group in taken_at_once(rows()):
        first, last = group[0], group[-1]
        number += 1
        quantity = sum(row.quantity for row in group)
        maker = first.buyer_maker
        lines.append(
            f"{number},{first.price},{quantity},{first.id},{last.id},{first.time},{maker},True\n"
        )
        if number % 500 == 0:
            number += 1
            lines.append(f"{number},0,0,-1,-1,{last.time},{maker},True\n")
    path.write_text("".join(lines))
    return path


def taken_at_once(trades: Iterable[Aggregate]) -> list[list[Aggregate]]:
    groups: list[list[Aggregate]] = []
    for row in trades:
        same = groups and (groups[-1][0].time, groups[-1][0].price, groups[-1][0].buyer_maker)
        if same == (row.time, row.price, row.buyer_maker):
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


DUMPS = {"raw": raw_dump, "aggregates": aggregate_dump}


@pytest.fixture
async def imported(servers: None, tmp_path: Path) -> AsyncIterator[Installation]:  # noqa: ARG001
    """An installation to import into: no worker, no tables."""
    folder = tmp_path / "imported"
    folder.mkdir()
    async with installed(folder, with_schema=False) as made:
        (folder / "app.yaml").write_text(CONFIGURATION)
        yield made


async def trade_live(installation: Installation, dump: Path) -> None:
    """Let a worker trade a dump on the local exchange, to its end."""
    (installation.folder / "app.yaml").write_text(CONFIGURATION)
    settings = ExchangeSettings(
        start=START, until=END + 3_000, speed=300.0, wait_for_subscribers=True, history_ms=HOUR
    )
    async with LocalExchange(settings, [DumpMarket(dump, "XRPETH", "XRP", "ETH")]) as play:
        installation.serve(play)
        installation.environment["LOCKSTEP_MARKET__START_TIME"] = str(START)
        worker = await installation.start()
        await installation.until(
            "orders", Orders, lambda found: any(one.time >= END for one in found)
        )
        await eventually(lambda: behind(installation), lambda count: count == 0, installation.said)
        await worker.end(signal.SIGTERM)


async def behind(installation: Installation) -> int:
    """Return how many records the tables lack."""
    async with Database(installation.settings()) as database:
        held = await PostgresStore(database).positions()
    ends = {
        Place(name, number): (await installation.log.bounds(Place(name, number)))[1]
        for name in SINK_TOPICS
        for number in range(topics.declared()[name].partitions)
    }
    return sum(end - held.get(place, 0) for place, end in ends.items())


def decided(messages: Iterable[Message]) -> dict[str, Any]:
    """Return orders, fills and bookings by name."""
    return {m.name: m.record for m in messages if isinstance(m.record, Orders | Fill | Booked)}


async def succeed(installation: Installation, *words: str) -> Done:
    done = await installation.run(*words)
    assert done.code == 0, done.error
    return done


async def refuse(installation: Installation, *words: str) -> str:
    done = await installation.run(*words)
    assert done.code in (1, 2), done.out
    assert "Traceback" not in done.error
    return done.error


async def digests(installation: Installation, *words: str) -> Any:
    return json.loads((await succeed(installation, "replay", "--json", *words)).out)["digests"]


@contextlib.asynccontextmanager
async def replayed(installation: Installation) -> AsyncIterator[tuple[str, KafkaLog]]:
    """Replay an installation's run to topics of their own, which are deleted in the end."""
    prefix = f"{installation.prefix}re."
    log = KafkaLog(installation.cluster.bootstrap, prefix)
    await succeed(installation, "replay", "--topics", prefix)
    await log.start()
    try:
        yield prefix, log
    finally:
        await log.stop()
        async with administrator(installation) as client:
            await client.delete_topics([prefix + name for name in topics.declared()])


async def read(log: KafkaLog, *names: str) -> list[Message]:
    return [
        decode(stored.value)
        for name in names
        for number in range(await log.partitions(name))
        for stored in await log.read(Place(name, number))
    ]


@pytest.mark.parametrize("kind", ["raw", "aggregates"])
async def test_live_imported_and_backtested_trade_the_same(
    installation: Installation, imported: Installation, tmp_path: Path, kind: str
) -> None:
    dump = DUMPS[kind](tmp_path / "dump.csv")
    await trade_live(installation, dump)
    await succeed(
        imported, "import", str(dump), "--instrument", INSTRUMENT, "--from", "2019-10-11T01:00Z"
    )

    messages = await read(installation.log, "orders", "fills")
    live = decided(messages)
    async with replayed(imported) as (prefix, log):
        assert decided(await read(log, "orders", "fills")) == live
        error = await refuse(imported, "replay", "--topics", prefix)
        assert "holds records" in error
    assert sum(isinstance(record, Fill) for record in live.values()) > 20
    backtested = await backtest(imported, dump, tmp_path / "report")
    assert backtested == sheets(messages, tmp_path / "live")
    assert len(backtested["fills.csv"]) > 20

    of_topics = await digests(installation)
    of_tables = await digests(installation, "--from-database", "--table")
    assert of_tables == of_topics
    assert of_topics["orders"] == await hash_of(installation, "orders")
    async with Database(installation.settings()) as database:
        report = await database.fetchval("SELECT report FROM replays WHERE kind = 'replay'")
    assert json.loads(report)["digests"] == of_tables
    words = ("--file", str(dump), "--instrument", INSTRUMENT, "--from", "2019-10-11T01:00Z")
    assert (await digests(imported))["fills"] == (await digests(imported, *words))["fills"]


async def backtest(installation: Installation, dump: Path, out: Path) -> dict[str, list[str]]:
    """Backtest a dump; return the lines of its orders and fills."""
    configuration = ("--config", str(installation.folder / "app.yaml"))
    words = (str(dump), "--instrument", INSTRUMENT, "--from", "2019-10-11T01:00Z", *configuration)
    await succeed(installation, "backtest", *words, "--out", str(out))
    return lines_of(out)


def sheets(messages: Iterable[Message], folder: Path) -> dict[str, list[str]]:
    """Return records as the lines of a report's files."""
    folder.mkdir()
    with CsvFiles(folder) as files:
        for message in {each.name: each for each in messages}.values():
            files.write(message)
    return lines_of(folder)


def lines_of(folder: Path) -> dict[str, list[str]]:
    names = ("orders.csv", "fills.csv")
    return {name: sorted((folder / name).read_text().splitlines()) for name in names}


async def hash_of(installation: Installation, topic: str) -> str:
    tally = Tally()
    for message in await installation.messages(topic):
        tally.take(Output(topic, "", message), encode(message))
    return tally.digests()[topic]


async def test_it_can_be_stopped_and_repeated_without_doubling(
    imported: Installation, tmp_path: Path
) -> None:
    whole = raw_dump(tmp_path / "whole.csv")
    lines = whole.read_text().splitlines(keepends=True)
    first, rest = tmp_path / "first.csv", tmp_path / "rest.csv"
    third = len(lines) // 3
    first.write_text("".join(lines[:third]))
    rest.write_text("".join(lines[third : 2 * third]))
    words = ("--instrument", INSTRUMENT)

    await succeed(imported, "import", str(first), *words)
    done = await succeed(imported, "import", str(first), str(rest), *words)
    assert f"{third:,} trades imported, after" in done.out
    done = await succeed(imported, "import", str(whole), *words)
    assert f"{len(lines) - 2 * third:,} trades imported, after" in done.out
    before = await imported.messages("trades")
    done = await succeed(imported, "import", str(whole), *words)
    assert "nothing is new" in done.out
    assert "lockstep replay" in done.out

    messages = await imported.messages("trades")
    assert len(messages) == len(before)
    records = [message.record for message in messages]
    ids = [trade for record in records if isinstance(record, Trades) for trade in record.id]
    assert ids == [int(line.split(",")[0]) for line in lines]
    assert sorted(each.account for each in records if isinstance(each, Join)) == ["real", "shadow"]
    assert max(record.time for record in records if isinstance(record, Clock)) >= END - MINUTE
    once = await digests(imported, "--file", str(whole), "--instrument", INSTRUMENT)
    # A break in the middle closes an interval by a clock, and what came after it is late.
    assert (await digests(imported)).keys() == once.keys()


async def test_what_does_not_fit_is_refused(imported: Installation, tmp_path: Path) -> None:
    raw, aggregates = raw_dump(tmp_path / "raw.csv"), aggregate_dump(tmp_path / "aggregates.csv")
    words = ("--instrument", INSTRUMENT)
    broken = tmp_path / "broken.csv"
    broken.write_text(raw.read_text()[:2_000] + "\nnonsense\n")

    assert "holds raw trades after files of aggregate ones" in await refuse(
        imported, "import", str(aggregates), str(raw), *words
    )
    assert "broken.csv, line" in await refuse(imported, "import", str(broken), *words)
    assert "goes back to id" in await refuse(imported, "import", str(raw), str(raw), *words)
    assert "no account trades BINANCE:BTCUSDT" in await refuse(
        imported, "import", str(raw), "--instrument", "BINANCE:BTCUSDT"
    )
    assert "no account 'nobody'" in await refuse(
        imported, "import", str(raw), *words, "--account", "nobody"
    )


async def test_neither_a_live_feed_nor_another_series_is_joined(
    imported: Installation, tmp_path: Path
) -> None:
    raw, aggregates = raw_dump(tmp_path / "raw.csv"), aggregate_dump(tmp_path / "aggregates.csv")
    await succeed(imported, "import", str(raw), "--instrument", INSTRUMENT)
    assert "holds aggregate trades, but on the topic stand raw ones" in await refuse(
        imported, "import", str(aggregates), "--instrument", INSTRUMENT
    )

    body = encode_state(FeedState(INSTRUMENT, last_id=5))
    state = StageState("market", INSTRUMENT, 0, VERSION, 0, {}, body)
    await imported.log.append([Entry("state-market", INSTRUMENT.encode(), encode(Message(state)))])
    assert "published by a live feed" in await refuse(
        imported, "import", str(raw), "--instrument", INSTRUMENT
    )
