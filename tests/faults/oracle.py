"""What topics, tables and the exchange hold enters; what is lost, doubled or different leaves."""

from __future__ import annotations

import base64
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.core.events import DeadLetter, Gap, Inbound, Join, Message, Trades
from app.pipeline import STAGES
from app.replay.driver import Replay
from app.runtime.codec import decode, encode
from app.runtime.ports import Stored
from app.runtime.sink import SINK_TOPICS
from app.storage.database import Database
from app.storage.rows import rows
from app.storage.tables import TABLES, Table
from tests.faults.site import DERIVED, Site

DOCUMENTS = frozenset({"configuration", "indicators", "instructions"})


@dataclass
class Findings:
    """What a comparison found.

    Attributes:
        compared: How many records or rows, by topic, table, or `exchange`.
        repeats: How many records stood on a topic again, as the same bytes.
        gaps: How many trades the exchange had, or used up ids for, that are declared missing.
        lost: What should be there and is not.
        doubled: What is there and should not be: an effect that happened again, or in disorder.
        different: What is there in other words.
    """

    compared: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    gaps: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)

    @property
    def faultless(self) -> bool:
        return not (self.lost or self.doubled or self.different)

    def match(self, where: str, found: Mapping[Any, Any], wanted: Mapping[Any, Any]) -> None:
        """Compare what is there with what should be, key by key."""
        self.compared[where] += len(wanted)
        self.lost += [f"{where}: {key}" for key in wanted if key not in found]
        self.doubled += [f"{where}: {key}" for key in found if key not in wanted]
        self.different += [
            f"{where}: {key}: was {found[key]!r}, must be {value!r}"
            for key, value in wanted.items()
            if key in found and found[key] != value
        ]


async def compare(site: Site) -> Findings:
    """Compare every topic with a replay, every table with the topics, trades with the exchange."""
    stored = {name: await site.stored_records(name) for name in SINK_TOPICS}
    findings = Findings()
    trades = [decode(each.value or b"") for each in stored["trades"]]
    _topics(findings, stored, trades)
    findings.match("dead letters", _letters(stored["dead-letters"]), site.foreign)
    await _tables(findings, stored, site.database)
    _exchange(findings, trades, site)
    return findings


def _topics(findings: Findings, stored: Mapping[str, list[Stored]], trades: list[Message]) -> None:
    replay = Replay(STAGES)
    for message in trades:
        replay.feed("trades", message.record.instrument, message)  # type: ignore[attr-defined]
    replay.run()
    for topic in DERIVED:
        wanted = {message.name: encode(message) for message in replay.messages(topic)}
        findings.match(topic, _by_identity(findings, stored[topic]), wanted)


def _letters(stored: Iterable[Stored]) -> dict[tuple[str, int, int], bytes]:
    """Return by its place what was reported as foreign, however often."""
    letters = [decode(each.value or b"").record for each in stored]
    return {
        (letter.topic, letter.partition, letter.offset): base64.b64decode(letter.payload)
        for letter in letters
        if isinstance(letter, DeadLetter)
    }


def _by_identity(findings: Findings, stored: Iterable[Stored]) -> dict[str, bytes]:
    """Return what a receiver takes: of each sender the next number; a repeat is the same bytes."""
    taken: dict[str, bytes] = {}
    last: Counter[tuple[str, str]] = Counter()
    for each in stored:
        value = each.value or b""
        message = decode(value)
        identity = message.identity
        if identity is None:
            findings.doubled.append(f"{each.topic}/{each.partition}/{each.offset}: no identity")
            continue
        sender = (identity.sender, identity.destination)
        if identity.number == last[sender] + 1:
            last[sender] += 1
            taken[message.name] = value
        elif taken.get(message.name) == value:
            findings.repeats += 1
        else:
            findings.different.append(
                f"{each.topic}/{each.partition}/{each.offset}: {message.name} stands after number "
                f"{last[sender]}: was {value!r}, before {taken.get(message.name)!r}"
            )
    return taken


async def _tables(
    findings: Findings, stored: Mapping[str, list[Stored]], database: Database
) -> None:
    wanted: dict[str, dict[Any, list[Any]]] = defaultdict(dict)
    for each in itertools.chain.from_iterable(stored.values()):
        inbound = Inbound(decode(each.value or b""), each.topic, each.partition, each.offset)
        for name, row in rows(inbound):
            # Of what is repeated the first is stored.
            wanted[name].setdefault(_key(TABLES[name], row), _comparable(TABLES[name], row))
    for table in TABLES.values():
        columns = ", ".join(f'"{column}"' for column in table.columns)
        query = f"SELECT {columns} FROM {table.name}"  # noqa: S608 - names of ours
        found = [tuple(row) for row in await database.fetch(query)]
        there = {_key(table, row): _comparable(table, row) for row in found}
        findings.match(f"table {table.name}", there, wanted[table.name])


def _key(table: Table, row: tuple[Any, ...]) -> tuple[Any, ...]:
    fields = dict(zip(table.columns, row, strict=True))
    return tuple(fields[name] for name in table.key)


def _comparable(table: Table, row: tuple[Any, ...]) -> list[Any]:
    """Return a row with its place in the log, documents by value."""
    return [
        json.loads(value) if name in DOCUMENTS and isinstance(value, str) else value
        for name, value in zip(table.columns, row, strict=True)
    ]


def _exchange(findings: Findings, trades: list[Message], site: Site) -> None:
    """Compare the trades, as a reader takes them, with what the exchange has itself."""
    by_instrument: dict[str, list[Any]] = defaultdict(list)
    for message in trades:
        by_instrument[message.record.instrument].append(message.record)  # type: ignore[attr-defined]
    for symbol, market in site.play._hub.markets.items():
        records = by_instrument[f"BINANCE:{symbol}"]
        joins = [record for record in records if isinstance(record, Join)]
        if not joins:
            findings.lost.append(f"exchange: {symbol} has not joined")
            continue
        taken, gaps = _taken(records, joins[0].next_id)
        truth = {
            entry.aggregate.id: _trade(entry.aggregate)
            for entry in market.log
            if entry.aggregate.id >= joins[0].next_id
        }
        declared = {number for first, last in gaps for number in range(first, last + 1)}
        findings.gaps += len(declared)
        wanted = {n: trade for n, trade in truth.items() if n not in declared or n in taken}
        findings.match(f"exchange {symbol}", taken, wanted)


def _taken(records: list[Any], due: int) -> tuple[dict[int, Any], list[tuple[int, int]]]:
    """Return each trade taken in id order, and what is declared missing."""
    taken: dict[int, Any] = {}
    gaps: list[tuple[int, int]] = []
    for record in records:
        if isinstance(record, Trades):
            for index, number in enumerate(record.id):
                if number == due:
                    taken[number] = _of(record, index)
                    due += 1
        elif isinstance(record, Gap) and record.last_id is not None and record.last_id >= due:
            gaps.append((max(due, record.first_id), record.last_id))
            due = record.last_id + 1
    return taken, gaps


def _of(record: Trades, index: int) -> tuple[Any, ...]:
    columns = ("first_id", "last_id", "time", "price", "quantity", "buyer_maker")
    return tuple(getattr(record, name)[index] for name in columns)


def _trade(aggregate: Any) -> tuple[Any, ...]:
    return (
        aggregate.first_id,
        aggregate.last_id,
        aggregate.time,
        aggregate.price,
        aggregate.quantity,
        aggregate.buyer_maker,
    )
