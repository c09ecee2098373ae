"""A worker stopped and killed in its work: what it leaves equals an undisturbed replay."""

from __future__ import annotations

import functools
import json
import operator
import signal
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest

from app.core.events import Command, Inbound, Message, Portfolio
from app.market.exchange import LocalExchange
from app.pipeline import STAGES
from app.replay.driver import Replay
from app.runtime import topics
from app.runtime.codec import decode, encode
from app.runtime.sink import SINK_TOPICS
from app.storage.database import Database
from app.storage.rows import rows
from app.storage.tables import TABLES
from tests.integration.worker import (
    MINUTE,
    START,
    Installation,
    Worker,
    eventually,
    exchange,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

MINUTES = 24
DOCUMENTS = ("configuration", "indicators", "instructions")
UPSTREAM = ("candles", "momentum", "macd")
DERIVED = ("candles", "signals", "portfolio", "allocations", "orders", "risk", "fills")


async def test_stopped_and_killed_in_its_work_it_ends_as_if_nothing_had_been(
    installation: Installation,
) -> None:
    async with exchange(speed=300.0, until=START + (MINUTES + 1) * MINUTE) as play:
        installation.serve(play)
        worker = await installation.start()
        await play.reached(START + 6 * MINUTE)
        play.clock.hold()
        await decided(installation, 3)
        worker.process.send_signal(signal.SIGTERM)
        assert await worker.ends(patience=10) == 0

        worker = await restarted(installation, play)
        assert (await installation.run("halt", "real")).code == 0
        await play.reached(START + 14 * MINUTE)
        play.clock.hold()
        await decided(installation, 9)
        assert await worker.end(signal.SIGKILL) == -signal.SIGKILL

        await restarted(installation, play)
        assert (await installation.run("resume", "real")).code == 0
        await play.finished()
        await decided(installation, MINUTES - 1)
    replayed = await equals_its_replay(installation)
    await fills_the_tables(installation, replayed)
    await is_readable(installation)


async def restarted(installation: Installation, play: LocalExchange) -> Worker:
    """Start a worker, and let time go on once it is connected."""
    worker = await installation.start()
    await worker.says("assigned", '"market"')

    async def connections() -> int:
        return play.connections

    await eventually(connections, bool)
    play.clock.release()
    return worker


async def decided(installation: Installation, count: int) -> None:
    """Wait until every account has decided so many times."""

    def holds(portfolios: list[Any]) -> bool:
        decisions = Counter(portfolio.account for portfolio in portfolios)
        return all(decisions[account] >= count for account in ("paper", "real"))

    await installation.until("portfolio", Portfolio, holds)


async def equals_its_replay(installation: Installation) -> dict[str, list[Message]]:
    """Compare every topic with a replay of what entered; return what each topic must hold."""
    live: dict[str, list[Message]] = {}
    wanted: dict[str, list[Message]] = {}

    async def differences() -> dict[str, set[bytes]]:
        for topic in ("trades", *DERIVED):
            live[topic] = await installation.messages(topic)
        wanted.update(replay(live))
        return {
            topic: named(live[topic]) ^ named(wanted[topic])
            for topic in DERIVED
            if named(live[topic]) != named(wanted[topic])
        }

    await eventually(differences, operator.not_)  # the worker may still be at it
    assert all(len(wanted[topic]) > MINUTES for topic in DERIVED)
    return wanted


def named(messages: Iterable[Message]) -> set[bytes]:
    """Return each message's bytes, its identity among them."""
    return {encode(message) for message in messages}


def replay(live: dict[str, list[Message]]) -> dict[str, list[Message]]:
    """Return what every topic holds after an uninterrupted run over what was recorded.

    When a command acts depends on where it stands among the signals of its account's partition;
    so what comes after the signals is replayed from the recorded ones, which the first half has
    proved.
    """
    first = Replay([stage for stage in STAGES if stage.name in UPSTREAM])
    second = Replay([stage for stage in STAGES if stage.name not in UPSTREAM])
    for message in live["trades"]:
        for half in (first, second):
            half.feed("trades", message.record.instrument, message)  # type: ignore[attr-defined]
    for message in live["signals"]:
        second.feed("signals", account_of(message), message)
    first.run()
    second.run()
    commands = [message for message in live["signals"] if isinstance(message.record, Command)]
    found = {topic: second.messages(topic) for topic in DERIVED[2:]}
    found |= {"candles": first.messages("candles"), "trades": live["trades"]}
    return found | {"signals": [*first.messages("signals"), *commands]}


def account_of(message: Message) -> str:
    if message.identity is not None:
        return message.identity.destination
    assert isinstance(message.record, Command)
    return message.record.account


async def fills_the_tables(installation: Installation, wanted: dict[str, list[Message]]) -> None:
    """Compare every table's rows with those of the records, field by field."""
    expected: dict[str, dict[tuple[Any, ...], str]] = {}
    for topic, messages in wanted.items():
        for message in messages:
            as_read = decode(encode(message))  # which knows no negative zero
            for table, row in rows(Inbound(as_read, topic, 0, 0)):
                # Of a repeat in another batch the first is stored.
                expected.setdefault(table, {}).setdefault(key(table, row), comparable(table, row))
    assert {"trades", "candles", "signals", "orders", "fills", "positions"} < expected.keys()
    async with Database(installation.settings()) as database:
        for table, lines in expected.items():
            find = functools.partial(found_in, database, table)
            found = await eventually(find, lambda rows, lines=lines: len(rows) >= len(lines))
            assert sorted(found) == sorted(lines.values())


async def found_in(database: Database, table: str) -> list[str]:
    found = await database.fetch(f"SELECT {', '.join(TABLES[table].columns)} FROM {table}")  # noqa: S608 - names of ours
    return [comparable(table, tuple(row)) for row in found]


def key(table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
    fields = dict(zip(TABLES[table].columns, row, strict=True))
    return tuple(fields[name] for name in TABLES[table].key)


def comparable(table: str, row: tuple[Any, ...]) -> str:
    """Return a row without its place in the log; numbers and documents by value."""
    columns = TABLES[table].columns[:-2]
    fields = zip(columns, row, strict=False)
    return repr([_sorted(value) if name in DOCUMENTS else _plain(value) for name, value in fields])


def _sorted(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True)


def _plain(value: Any) -> Any:
    return value.normalize() if hasattr(value, "normalize") else value


async def is_readable(installation: Installation) -> None:
    """Every record of every topic is a JSON object that says what it is."""
    for topic in (*SINK_TOPICS, *(name for name in topics.declared() if "state" in name)):
        for stored in await installation.stored(topic):
            assert json.loads(stored.value or b"")["type"] in topics.records_of(topic)
            assert (stored.key or b"").decode()
