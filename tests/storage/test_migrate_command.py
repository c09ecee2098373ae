"""`lockstep migrate` brings a schema up to date, says what it left out, and fails in a sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import asyncpg
import pytest

from app.storage import migrations
from app.storage.database import DatabaseSettings

NAMES = [migration.name for migration in migrations.read()]


def run(
    settings: DatabaseSettings, *arguments: str, **changes: str
) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "LOCKSTEP_DATABASE__HOST": settings.host,
        "LOCKSTEP_DATABASE__PORT": str(settings.port),
        "LOCKSTEP_DATABASE__NAME": settings.name,
        "LOCKSTEP_DATABASE__USER": settings.user,
        "LOCKSTEP_DATABASE__PASSWORD": settings.password,
        "LOCKSTEP_DATABASE__SCHEMA": settings.schema,
        **changes,
    }
    entry = "from app.cli import main; main()"
    command = [sys.executable, "-c", entry, "migrate", *arguments]
    return subprocess.run(  # noqa: S603 - our own command
        command, env=environment, capture_output=True, text=True, check=False
    )


async def test_migrate_then_again_then_check(
    settings: DatabaseSettings, admin: asyncpg.Connection
) -> None:
    first, second = run(settings), run(settings)
    assert (first.returncode, second.returncode) == (0, 0)
    assert [f"applying {name}" in first.stderr for name in NAMES] == [True] * len(NAMES)
    assert "applying" not in second.stderr
    assert f"Schema {settings.schema} has {len(NAMES)} migrations" in second.stderr

    listed = json.loads(run(settings, "--check", "--json").stdout)
    assert [item["name"] for item in listed] == NAMES
    edition = await admin.fetchval("SELECT edition()")
    assert {item["edition"] for item in listed} == {edition}
    for done in (first, second):
        assert done.stderr.count("left out on the apache edition") == int(edition == "apache")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"LOCKSTEP_DATABASE__PORT": "1"}, "does not answer (connection refused)"),
        ({"LOCKSTEP_DATABASE__PASSWORD": "wrong"}, "refused the password of user"),
        ({"LOCKSTEP_DATABASE__NAME": "not_there"}, "has no database not_there"),
    ],
)
def test_a_database_that_is_not_there_is_one_sentence(
    settings: DatabaseSettings, changes: dict[str, str], sentence: str
) -> None:
    failed = run(settings, **changes)
    assert failed.returncode == 4
    assert sentence in failed.stderr
    assert failed.stderr.count("\n") == 1
    assert failed.stdout == ""
