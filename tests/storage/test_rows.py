"""Every record type becomes rows of the right arity and type, which the real tables take."""

from __future__ import annotations

import dataclasses
import functools
import json
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg
import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.events import RECORDS as TYPES
from app.core.events import Epoch, Inbound, Message, Record
from app.storage.database import Database
from app.storage.rows import MAKERS, PASSED_ON, rows
from app.storage.tables import COLUMNS, TABLES, Table
from app.storage.values import instant
from tests.records import MESSAGES, RECORDS, messages

NOT_STORED = {"state", "claim", "progress", "listing"}
STORED = [cls for cls in RECORDS if cls.TYPE not in NOT_STORED]

PLACES = st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1))
TOPIC_OF_ENTRY = "trades"
TOPICS = [TOPIC_OF_ENTRY, "candles", "signals", "portfolio"]
JSONB = {"indicators", "instructions", "needs"}


def inbounds(cls: type[Record]) -> st.SearchStrategy[Inbound]:
    return st.builds(
        lambda message, place: Inbound(message, TOPIC_OF_ENTRY, *place), messages(cls), PLACES
    )


@functools.cache
def python_type(sql: str) -> type:
    return {
        "timestamp with time zone": datetime,
        "numeric": Decimal,
        "bigint": int,
        "integer": int,
        "text": str,
        "json": str,
        "jsonb": str,
        "boolean": bool,
    }[sql]


def test_every_record_type_has_rows_or_a_reason_to_have_none() -> None:
    assert MAKERS.keys() | NOT_STORED == TYPES.keys()
    assert MAKERS.keys().isdisjoint(NOT_STORED)


@given(MESSAGES.filter(lambda message: message.record.TYPE in PASSED_ON), st.sampled_from(TOPICS))
def test_what_is_passed_on_is_stored_from_its_entrance_only(message: Message, topic: str) -> None:
    assert rows(Inbound(message, TOPIC_OF_ENTRY, 0, 0))
    if topic != TOPIC_OF_ENTRY:
        assert rows(Inbound(message, topic, 0, 0)) == []


@pytest.mark.parametrize("cls", STORED, ids=lambda cls: cls.TYPE)
@given(data=st.data())
def test_rows_have_a_value_for_each_column(cls: type[Record], data: st.DataObject) -> None:
    inbound = data.draw(inbounds(cls))
    for table, row in rows(inbound):
        columns = COLUMNS[table]
        assert len(row) == len(columns)
        named = dict(zip(columns, row, strict=True))
        assert named["topic_partition"] == inbound.partition
        assert named["topic_offset"] == inbound.offset
        if "identity" in named:
            assert named["identity"] == inbound.message.name
        if TABLES[table].derived:
            assert named["origin"] == inbound.message.origin


@given(st.integers(0, 7_258_118_400_000))
def test_a_moment_is_exact(milliseconds: int) -> None:
    moment = instant(milliseconds)
    assert moment.tzinfo is UTC
    whole = (moment - datetime(1970, 1, 1, tzinfo=UTC)) / (instant(1) - instant(0))
    assert whole == milliseconds


async def test_columns_and_keys_are_those_of_the_real_tables(
    database: Database, admin: asyncpg.Connection
) -> None:
    for table in TABLES.values():
        found = await admin.fetch(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 "
            "AND table_name = $2 ORDER BY ordinal_position",
            database.settings.schema,
            table.name,
        )
        assert [row["column_name"] for row in found] != []
        assert sorted(row["column_name"] for row in found) == sorted(table.columns)
        key = await admin.fetch(
            "SELECT a.attname FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k (n, place), "
            "pg_attribute a WHERE i.indrelid = $1::text::regclass AND i.indisprimary "
            "AND a.attrelid = i.indrelid AND a.attnum = k.n ORDER BY k.place",
            table.name,
        )
        assert tuple(row["attname"] for row in key) == table.key


async def test_every_drawn_row_is_taken_by_copy_and_read_back(
    database: Database, admin: asyncpg.Connection
) -> None:
    """What PostgreSQL gives back equals what went in, value by value, for every record type."""
    types = {
        (row["table_name"], row["column_name"]): python_type(row["data_type"])
        for row in await admin.fetch(
            "SELECT table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = $1",
            database.settings.schema,
        )
        if row["table_name"] in TABLES
    }
    drawn: dict[str, list[tuple[object, ...]]] = {}
    for cls in STORED:
        for inbound in examples(cls):
            for name, row in rows(inbound):
                drawn.setdefault(name, []).append(row)
    assert drawn.keys() == TABLES.keys()
    for name, batch in drawn.items():
        table = TABLES[name]
        for row in batch:
            for column, value in zip(table.columns, row, strict=True):
                assert value is None or type(value) is types[name, column], (name, column, value)
        await admin.execute(f"CREATE TEMPORARY TABLE taken (LIKE {name}, nth serial)")
        await admin.copy_records_to_table("taken", columns=table.columns, records=batch)
        listed = ", ".join(f'"{column}"' for column in table.columns)
        query = f"SELECT {listed} FROM taken ORDER BY nth"  # noqa: S608 - names of ours
        found = [tuple(row) for row in await admin.fetch(query)]
        assert [parsed(table, row) for row in found] == [parsed(table, row) for row in batch]
        await admin.execute("DROP TABLE taken")


def parsed(table: Table, row: tuple[object, ...]) -> list[object]:
    """Return the row with its JSON read: PostgreSQL writes the same document another way."""
    return [
        json.loads(str(value), parse_int=float) if column in JSONB else value
        for column, value in zip(table.columns, row, strict=True)
    ]


def first_of_its_account(inbound: Inbound) -> Inbound:
    """Let an epoch travel with its account's first instrument, so that it stores the account."""
    record = inbound.record
    if not isinstance(record, Epoch):
        return inbound
    record = dataclasses.replace(record, instrument=record.account.instruments[0])
    return dataclasses.replace(inbound, message=dataclasses.replace(inbound.message, record=record))


def examples(cls: type[Record]) -> list[Inbound]:
    found: list[Inbound] = []

    @given(inbounds(cls))
    @hypothesis.settings(max_examples=20)
    def collect(inbound: Inbound) -> None:
        found.append(first_of_its_account(inbound))

    collect()
    return found
