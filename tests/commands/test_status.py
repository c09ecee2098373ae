"""What is wrong with the database is said once; it is an error where waiting does not help."""

from __future__ import annotations

import dataclasses
import json

import pytest
from click.testing import CliRunner, Result

from app.commands import status as command
from app.errors import UNREACHABLE, UnreachableError
from app.runtime.status import DatabaseStatus, StageStatus, Status, ask
from app.storage.database import DatabaseSettings
from tests.storage.conftest import PARAMETERS, admin, empty, settings  # noqa: F401 - fixtures

PROBLEM = "The database at localhost:1 is what it is."


def shown(monkeypatch: pytest.MonkeyPatch, *words: str, refused: bool) -> Result:
    database = DatabaseStatus(PROBLEM, refused=refused)
    sink = StageStatus("sink", ("host",), 7, 0, {"database": PROBLEM})

    async def told() -> Status:
        return Status((sink,), {}, 0, database, {}, {})

    monkeypatch.setattr(command, "_ask", told)
    return CliRunner().invoke(command.status, words)


def test_a_database_that_is_away_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    result = shown(monkeypatch, refused=False)
    assert result.exit_code == 0
    assert result.output.count(PROBLEM) == 1


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_database_that_refuses_us_is_an_error(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    result = shown(monkeypatch, *words, refused=True)
    assert isinstance(result.exception, UnreachableError)
    assert result.exception.exit_code == UNREACHABLE
    assert str(result.exception) == PROBLEM
    if words:
        assert json.loads(result.output)["database"]["problem"] == PROBLEM
    else:
        assert PROBLEM not in result.output  # the error says it


async def test_a_refused_password_is_no_absence(settings: DatabaseSettings) -> None:  # noqa: F811
    wrong = dataclasses.replace(settings, password="wrong")  # noqa: S106 - it is meant to be refused
    away = dataclasses.replace(settings, port=1)
    assert [(await ask(each)).refused for each in (wrong, away)] == [True, False]
