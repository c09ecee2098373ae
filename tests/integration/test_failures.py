"""What a worker can't start with is one sentence and an exit code, never a traceback."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.pipeline import EDGES, STAGES
from app.runtime import topics
from app.storage.database import Database
from tests.integration.worker import (
    CONFIGURATION,
    Done,
    Installation,
    create_topic,
    remove,
)

pytestmark = pytest.mark.integration

NOWHERE = "127.0.0.1:1"


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Topics without a schema, shared: none of these workers gets as far as writing."""
    if "LOCKSTEP_DATABASE__PASSWORD" not in os.environ:
        pytest.skip("needs a real broker and database, as ./run test brings up")
    made = Installation(tmp_path_factory.mktemp("settings"))
    asyncio.run(topics.create(made.cluster))
    yield made
    asyncio.run(remove(made))


def sentence(done: Done) -> str:
    """Return the one thing that a failed process said itself."""
    lines = [line for line in done.error.splitlines() if line.strip()]
    assert "Traceback" not in done.error
    # Faust's log, in brackets, may hold a line of the Kafka client's.
    (said,) = [line for line in lines if not line.startswith("[")]
    return said


async def test_no_broker(bare: Installation) -> None:
    done = await bare.run("worker", LOCKSTEP_KAFKA__BOOTSTRAP=NOWHERE)
    assert done.code == 4
    assert f"no Kafka broker answered at {NOWHERE}" in sentence(done)
    assert "lockstep up" in done.error


async def test_no_broker_for_commands(bare: Installation) -> None:
    for words in (("status",), ("topics", "check"), ("halt", "paper")):
        done = await bare.run(*words, LOCKSTEP_KAFKA__BOOTSTRAP=NOWHERE)
        assert done.code == 4
        assert sentence(done).startswith(f"Error: no Kafka broker answered at {NOWHERE}")


async def test_a_wrong_password(bare: Installation) -> None:
    done = await bare.run("worker", LOCKSTEP_DATABASE__PASSWORD="guessed")  # noqa: S106
    assert done.code == 4
    assert "refused the password" in sentence(done)
    assert "LOCKSTEP_DATABASE__PASSWORD" in done.error
    assert "guessed" not in done.error


async def test_a_schema_that_was_not_migrated(bare: Installation) -> None:
    done = await bare.run("worker")
    assert done.code == 1
    assert "lockstep migrate" in sentence(done)


async def test_topics_that_are_not_there(bare: Installation) -> None:
    done = await bare.run("worker", LOCKSTEP_KAFKA__PREFIX=f"{bare.prefix}other.")
    assert done.code == 1
    assert "lockstep topics create" in sentence(done)


async def test_a_wrong_partition_count(bare: Installation, tmp_path: Path) -> None:
    other = Installation(tmp_path)
    await create_topic(other, "trades", partitions=3)
    try:
        done = await other.run("worker")
    finally:
        await remove(other, "trades")
    assert done.code == 1
    assert f"{other.prefix}trades: partitions was 3, must be 4" in sentence(done)
    assert bare.prefix not in done.error


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ("market: {patience: 5s, patence: 1s}\n", "market.patence is unknown: did you mean pat"),
        ("interval: 7s\nmarket: {}\n", "interval was 7000 ms, must divide a day"),
        ("market: [1\n", "is not YAML"),
    ],
)
async def test_malformed_settings(
    bare: Installation, tmp_path: Path, wrong: str, names: str
) -> None:
    shutil.copy(bare.folder / "database.yaml", tmp_path)
    configuration = CONFIGURATION.replace("market: {patience: 5s}\n", wrong)
    (tmp_path / "app.yaml").write_text(configuration)
    done = await bare.run("worker", LOCKSTEP_CONFIG=str(tmp_path))
    assert done.code == 2
    assert str(tmp_path / "app.yaml") in sentence(done)
    assert names in done.error


async def test_a_port_in_use(bare: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = await bare.run("exchange", "--synthetic", "BTCUSDT", "--port", port)
    assert done.code == 4
    assert f"127.0.0.1:{port} could not be listened on" in sentence(done)
    assert "--port" in done.error


async def test_a_topic_made_anew_under_the_tables(installation: Installation) -> None:
    async with Database(installation.settings()) as database:
        await database.execute("INSERT INTO sink_offsets VALUES ('orders', 2, 7)")
    done = await installation.run("worker", LOCKSTEP_WORKER__STAGES="sink")
    assert done.code == 1
    assert "the database holds orders/2 up to 7, but it ends at 0: the topic was made" in done.error


async def test_every_agent_is_listed(bare: Installation) -> None:
    done = await bare.run("agents")
    assert done.code == 0
    market, sink = EDGES
    for name in (market, *(stage.name for stage in STAGES), sink):
        assert f"@{name} " in done.out
