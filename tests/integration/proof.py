"""What topics and tables of an installation hold enters; whether its input makes it leaves."""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Iterable, Mapping
from typing import Any

from app.core.events import Command, Inbound, Message
from app.pipeline import STAGES
from app.replay.driver import Replay
from app.runtime.codec import decode, encode
from app.storage.database import Database
from app.storage.rows import rows
from app.storage.tables import TABLES
from tests.integration.worker import Installation, eventually

DOCUMENTS = ("configuration", "indicators", "instructions")
UPSTREAM = ("candles", "momentum", "macd")
DERIVED = ("candles", "signals", "portfolio", "allocations", "orders", "risk", "fills")


async def equals_its_replay(installation: Installation, least: int) -> dict[str, list[Message]]:
    """Compare every topic with a replay of what entered; return what each topic must hold.

    Each topic must hold more than `least` records: an empty one proves nothing.
    """
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

    await eventually(differences, operator.not_, installation.said)  # it may still be at it
    assert all(len(wanted[topic]) > least for topic in DERIVED)
    return wanted


def named(messages: Iterable[Message]) -> set[bytes]:
    """Return each message's bytes, its identity among them."""
    return {encode(message) for message in messages}


def replay(live: Mapping[str, list[Message]]) -> dict[str, list[Message]]:
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
    """Return the account whose partition of `signals` a message stands in."""
    if message.identity is not None:
        return message.identity.destination
    assert isinstance(message.record, Command)
    return message.record.account


async def fills_the_tables(
    installation: Installation, wanted: Mapping[str, list[Message]]
) -> dict[str, list[str]]:
    """Compare every table's rows with those of the records, field by field; return them."""
    expected = rows_of(wanted)
    assert {"trades", "candles", "signals", "orders", "fills", "positions"} < expected.keys()
    stored = {}
    async with Database(installation.settings()) as database:
        for table in expected:
            find = functools.partial(found_and_known, installation, database, table, expected)
            found, lines = await eventually(find, lambda both: len(both[0]) >= len(both[1]))
            differ = sorted({*found} ^ {*lines})
            assert not differ, f"{table}: {differ[:4]}"
            assert len(found) == len(lines), table
            stored[table] = sorted(found)
    return stored


def rows_of(wanted: Mapping[str, list[Message]]) -> dict[str, dict[tuple[Any, ...], str]]:
    """Return each table's rows of some topics' messages, by their keys."""
    found: dict[str, dict[tuple[Any, ...], str]] = {}
    for topic, messages in wanted.items():
        for message in messages:
            as_read = decode(encode(message))  # which knows no negative zero
            for table, row in rows(Inbound(as_read, topic, 0, 0)):
                # Of a repeat in another batch the first is stored.
                found.setdefault(table, {}).setdefault(key(table, row), comparable(table, row))
    return found


async def found_and_known(
    installation: Installation,
    database: Database,
    table: str,
    expected: Mapping[str, Mapping[tuple[Any, ...], str]],
) -> tuple[list[str], list[str]]:
    """Return a table's rows, and what they must be."""
    found = await found_in(database, table)
    if table == "trades":  # those of an interval that nobody closes may come on: read them again
        expected = rows_of({"trades": await installation.messages("trades")})
    return found, [*expected[table].values()]


async def found_in(database: Database, table: str) -> list[str]:
    """Return a table's rows, comparable."""
    found = await database.fetch(f"SELECT {', '.join(TABLES[table].columns)} FROM {table}")  # noqa: S608 - names of ours
    return [comparable(table, tuple(row)) for row in found]


def key(table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what tells a row from all others."""
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
