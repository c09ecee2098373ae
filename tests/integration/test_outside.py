"""Foreign bytes: where they may stand they become dead letters, where they may not they stop us."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from app.core.events import DeadLetter, Portfolio
from app.runtime.ports import Entry
from app.storage.database import Database
from tests.integration.worker import A, Installation, eventually, exchange

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

GARBAGE = b"{garbage"
COMMAND = b'{"type":"command","account":"paper","command_id":"1","action":"stop","by":"me"}'
FOREIGN = (
    Entry("trades", A.encode(), GARBAGE),
    Entry("trades", A.encode(), b'{"type":"clock","instrument":"BINANCE:BBBUSDT"}'),
    Entry("signals", b"paper", COMMAND),
)


async def test_foreign_bytes_are_reported_and_only_ours_stop_the_worker(
    installation: Installation,
) -> None:
    async with exchange(speed=60.0) as play:
        installation.serve(play)
        worker = await installation.start()
        await installation.until("portfolio", Portfolio, lambda found: len(found) >= 2)
        await installation.log.append(FOREIGN)
        letters = await installation.until(
            "dead-letters", DeadLetter, lambda found: len(found) >= len(FOREIGN)
        )
        assert reported(letters) == {
            ("trades", "candles", GARBAGE),
            ("trades", "candles", FOREIGN[1].value),
            ("signals", "portfolio", COMMAND),
        }
        assert all(letter.reason for letter in letters)
        await goes_on(installation)
        await stands_in_the_table(installation)
        assert (await installation.status())["dead_letters"] >= len(FOREIGN)

        (offset,) = await installation.log.append([Entry("orders", A.encode(), GARBAGE)])
        assert await worker.ends() == 70
    partition = installation.log.partition_for(A.encode(), 4)
    line = await worker.says("stopped", f"orders/{partition}/{offset} could not be taken")
    assert "lockstep topics read orders" in line


CLAIMS = b'{"type":"signal","id":"momentum/BINANCE:AAAUSDT/paper/1","origin":"clock/X/1"}'
TAKEN = "could not be taken"
OURS = (
    ("candles", A, GARBAGE, TAKEN),
    ("signals", "paper", CLAIMS, TAKEN),
    ("portfolio", "paper", GARBAGE, TAKEN),
    ("fills", "paper", GARBAGE, TAKEN),
    ("risk", "paper", GARBAGE, TAKEN),  # only the sink reads it
    ("state-candles", A, GARBAGE, TAKEN),
)
DERIVED = ("candles", "signals", "portfolio", "allocations", "orders", "fills", "risk")


@pytest.mark.parametrize(("topic", "key", "value", "words"), OURS, ids=[row[0] for row in OURS])
async def test_what_is_no_record_on_a_topic_of_ours_stops_the_worker(
    installation: Installation, topic: str, key: str, value: bytes, words: str
) -> None:
    await installation.log.append([Entry(topic, key.encode(), value)])
    worker = await installation.start()
    assert await worker.ends() == 70
    assert await worker.says("stopped", words)
    stand = [
        each.value
        for name in (*DERIVED, "dead-letters")
        for each in await installation.stored(name)
    ]
    assert stand == ([value] if topic in DERIVED else [])


def reported(letters: list[Any]) -> set[tuple[str, str, bytes]]:
    return {(letter.topic, letter.stage, base64.b64decode(letter.payload)) for letter in letters}


async def goes_on(installation: Installation) -> None:
    """Every account decides at least twice more."""
    before = len(await installation.records("portfolio", Portfolio))
    await installation.until("portfolio", Portfolio, lambda found: len(found) >= before + 4)


async def stands_in_the_table(installation: Installation) -> None:
    async with Database(installation.settings()) as database:

        async def stages() -> list[str]:
            rows = await database.fetch("SELECT stage FROM dead_letters ORDER BY stage")
            return [row["stage"] for row in rows]

        wanted = ["candles", "candles", "portfolio"]
        assert await eventually(stages, lambda found: len(found) >= len(wanted)) == wanted
