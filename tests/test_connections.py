"""How the code reaches a broker or a database: by one door each, and with values as parameters."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from app import data

APP = data.PACKAGE
CLIENTS = {"AIOKafkaConsumer", "AIOKafkaProducer", "AIOKafkaAdminClient", "create_conn"}
ASKING = {"execute", "executemany", "fetch", "fetchrow", "fetchval", "cursor", "prepare"}
TEXT_OF_QUERIES = {
    "app/storage/database.py": "passes on what it is given, beside its parameters",
    "app/storage/migrations.py": "the files of sql/, and names that a pattern checked",
    "app/storage/store.py": "names of our own tables and columns, constants of tables.py",
    "app/dashboard/history/candles.py": "one text for each of our own tables, made when imported",
    "app/dashboard/history/hours.py": "the text it was made with, one of candles.py",
    "app/dashboard/history/lists.py": "constants, chosen by the name of a list",
    "app/dashboard/history/store.py": "passes on what it is given, beside its parameters",
    "app/demo/summary.py": "names of our own tables, a constant beside it",
    "app/replay/explain/from_tables.py": "our tables' and columns' names, and numbered parameters",
    "app/replay/sources/tables.py": "constants, chosen by what is asked for",
    "app/forks/local_databases.py": "what the server itself put together and quoted, by format()",
    "app/demo/sweep.py": "a schema's name that matched letters, digits and underscores",
}
"""Where the text of a query is not a constant, and what it holds instead."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    for file in sorted(APP.rglob("*.py")):
        yield file.relative_to(APP.parent).as_posix(), ast.parse(file.read_text())


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func).rsplit(".", 1)[-1], node


def is_told(call: ast.Call) -> bool:
    rest = [ast.unparse(word.value) for word in call.keywords if word.arg is None]
    return any("security" in text for text in rest)


def test_every_client_of_kafka_is_told_about_security() -> None:
    found = [(file, call) for file, tree in sources() for name, call in calls(tree)
             if name in CLIENTS]  # fmt: skip
    assert len(found) >= 7
    assert [f"{file}:{call.lineno}" for file, call in found if not is_told(call)] == []


def test_one_place_opens_connections_to_the_database() -> None:
    places = {
        file
        for file, tree in sources()
        for _, call in calls(tree)
        if ast.unparse(call.func).startswith(("asyncpg.connect", "asyncpg.create_pool"))
    }
    assert places == {"app/storage/database.py"}


def is_constant(query: ast.expr, constants: set[str]) -> bool:
    return isinstance(query, ast.Constant) or ast.unparse(query) in constants


def constants_of(tree: ast.Module) -> set[str]:
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    return {
        ast.unparse(target)
        for node in assigned
        if isinstance(node.value, ast.Constant)
        for target in node.targets
    }


def speaks_sql(tree: ast.Module) -> bool:
    """Tell a module that may ask a database from one whose `fetch` asks an exchange."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return any("asyncpg" in text or "app.storage" in text for text in map(ast.unparse, imports))


def made_up(tree: ast.Module) -> list[str]:
    """Return the queries whose text is not a constant of the same module."""
    constants = constants_of(tree)
    return [
        ast.unparse(call.args[0])
        for name, call in calls(tree)
        if name in ASKING and call.args and not is_constant(call.args[0], constants)
    ]


def test_values_reach_the_database_as_parameters_only() -> None:
    places = {file for file, tree in sources() if speaks_sql(tree) and made_up(tree)}
    assert places == set(TEXT_OF_QUERIES)


@pytest.mark.parametrize("query", ['f"DELETE FROM t WHERE a = {b}"', '"SELECT " + a', "a % b"])
def test_a_query_with_a_value_in_it_is_seen(query: str) -> None:
    assert made_up(ast.parse(f"connection.execute({query})"))
    assert not made_up(ast.parse("QUERY = 'SELECT $1'\nconnection.fetch(QUERY, value)"))


def test_each_exception_from_the_rule_against_sql_in_texts_has_its_reason() -> None:
    lines = [
        (file, line)
        for file in sorted(Path(APP).rglob("*.py"))
        for line in file.read_text().splitlines()
        if "noqa" in line and "S608" in line
    ]
    assert {file.relative_to(APP.parent).as_posix() for file, _ in lines} <= set(TEXT_OF_QUERIES)
