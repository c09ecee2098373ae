"""docs/schema.md names every table, key and function there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from app.storage.database import Database

PAGE = (Path(__file__).parents[2] / "docs" / "schema.md").read_text()


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


async def test_every_table_is_on_the_page_with_its_key(database: Database) -> None:
    rows = re.findall(r"^\| `(\w+)`( ▸)? \|.*\| ([\w, ]+) \|$", section("Tables"), re.MULTILINE)
    schema = database.settings.schema
    found = await database.fetch(
        "SELECT c.relname AS name, h.hypertable_name IS NOT NULL AS hypertable, "
        "(SELECT string_agg(a.attname, ', ' ORDER BY k.place) FROM pg_index i, "
        "unnest(i.indkey) WITH ORDINALITY k (n, place), pg_attribute a WHERE i.indrelid = c.oid "
        "AND i.indisprimary AND a.attrelid = c.oid AND a.attnum = k.n) AS key "
        "FROM pg_class c LEFT JOIN timescaledb_information.hypertables h "
        "ON h.hypertable_schema = $1::text AND h.hypertable_name = c.relname "
        "WHERE c.relnamespace = $1::text::regnamespace AND c.relkind = 'r'",
        schema,
    )
    assert {name: (bool(mark), key) for name, mark, key in rows} == {
        row["name"]: (row["hypertable"], row["key"]) for row in found
    }


async def test_every_function_is_on_the_page(database: Database) -> None:
    named = set(re.findall(r"`(\w+)(?:\([\w, ]*\))?`", section("Functions")))
    found = await database.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = $1::text::regnamespace",
        database.settings.schema,
    )
    assert {row["proname"] for row in found} <= named
    rows = re.findall(r"^\| `(\w+)\(", section("Functions"), re.MULTILINE)
    assert set(rows) <= {row["proname"] for row in found}
