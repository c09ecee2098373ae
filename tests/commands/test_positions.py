"""What the accounts held at any time is read from the database to the last digit."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner

from app.commands.positions import EVER, positions, read_books
from app.errors import LockstepError
from app.storage.database import Database
from tests.storage.conftest import (  # noqa: F401 - fixtures
    PARAMETERS,
    admin,
    database,
    empty,
    settings,
)

NOON = datetime(2019, 10, 11, 12, 0, tzinfo=UTC)
LATER = datetime(2019, 10, 11, 12, 1, tzinfo=UTC)
PORTFOLIO = """
INSERT INTO portfolio (time, account, epoch, cash, equity, instructions, identity, origin,
    topic_partition, topic_offset)
VALUES ($1, $2, 1, $3, $4, '[]', 'i', 'o', 0, 0)
"""
POSITION = """
INSERT INTO positions (time, account, strategy, instrument, quantity, cost, realised, fees, mark,
    identity, origin, topic_partition, topic_offset)
VALUES ($1, 'paper', 'macd', 'BINANCE:BTCUSDT', $2, $3, 0, 0.5, $4, 'i', 'o', 0, 0)
"""


@pytest.mark.integration
async def test_the_newest_decision_time_not_after_the_moment_counts(
    database: Database,  # noqa: F811
) -> None:
    exact = Decimal("0.12345678901234567890")
    await database.execute(PORTFOLIO, NOON, "paper", Decimal(90), Decimal(100))
    await database.execute(PORTFOLIO, LATER, "paper", Decimal(80), Decimal(101))
    await database.execute(PORTFOLIO, NOON, "shadow", Decimal(7), Decimal(7))
    await database.execute(POSITION, NOON, exact, Decimal(10), Decimal(81))
    await database.execute(POSITION, LATER, Decimal(0), Decimal(0), None)

    paper, shadow = await read_books(database, None, EVER)
    assert (paper["account"], paper["time"]) == ("paper", "2019-10-11T12:01:00Z")
    assert (paper["cash"], paper["equity"]) == ("80", "101")
    assert (shadow["account"], shadow["positions"]) == ("shadow", [])
    assert paper["positions"][0]["mark"] is None

    (book,) = await read_books(database, "paper", NOON)
    assert book["positions"] == [
        {
            "strategy": "macd",
            "instrument": "BINANCE:BTCUSDT",
            "quantity": "0.1234567890123456789",
            "cost": "10",
            "mark": "81",
            "realised": "0",
            "unrealised": "-0.0000000900000000091",
            "fees": "0.5",
        }
    ]
    assert await read_books(database, "paper", NOON.replace(hour=11)) == []
    assert await read_books(database, "nobody", EVER) == []


def test_a_time_that_is_none_is_refused_before_anything_is_asked() -> None:
    result = CliRunner().invoke(positions, ["--at", "yesterday"])
    assert result.exit_code == 2
    assert "write 2019-10-11T12:00:00Z" in result.output


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["papr"], "there is no account 'papr': did you mean paper?"),
        (["paper"], "account paper has not decided anything yet"),
        (["--at", "2019-10-11T12:00Z"], "no account has decided anything at 2019-10-11T12:00Z"),
    ],
)
def test_an_empty_answer_says_what_to_do(
    words: list[str], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> list[dict[str, Any]]:
        return []

    monkeypatch.setattr("app.commands.positions._read", nothing)
    result = CliRunner().invoke(positions, words)
    assert isinstance(result.exception, LockstepError)
    assert str(result.exception).startswith(sentence)
