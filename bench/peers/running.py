"""Trades enter each peer as it wants them: ticks on a topic, records, a file; its rate leaves."""

from __future__ import annotations

import asyncio
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from app.config import Settings
from app.core.decimals import plain
from app.core.events import Trades
from app.errors import LockstepError
from app.runtime.codec import decode
from bench.market import Packed

PARTITIONS = 4  # as `trades`
PATIENCE = 300.0  # seconds
SCRIPTS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Input:
    """The same trades in every form that a peer wants.

    Attributes:
        environment: Tells a peer where they are.
        count: How many.
    """

    environment: dict[str, str]
    count: int


def trades(records: Iterable[Packed]) -> Iterator[Trades]:
    """Yield the records of trades among packed ones."""
    for packed in records:
        record = decode(packed.value).record
        if isinstance(record, Trades):
            yield record


@asynccontextmanager
async def prepared(
    settings: Settings, records: list[Packed], tested: list[Packed]
) -> AsyncIterator[Input]:
    """Put trades where peers read them; all of it is gone at the end.

    Args:
        settings: Where the broker is.
        records: For the topics.
        tested: For the file.
    """
    name = f"bench_{uuid.uuid4().hex[:10]}."
    names = {kind: name + kind for kind in ("ticks", "records", "candles", "quix")}
    clients = {"bootstrap_servers": settings.kafka.bootstrap, **settings.kafka.security()}
    admin = AIOKafkaAdminClient(**clients)
    producer = AIOKafkaProducer(linger_ms=20, **clients)
    await admin.start()
    await producer.start()
    with tempfile.NamedTemporaryFile(prefix="bench-ticks-", suffix=".json") as file:
        try:
            await admin.create_topics([NewTopic(each, PARTITIONS, 1) for each in names.values()])
            count = await _append(producer, names, records)
            file.write(orjson.dumps(_rows(tested)))
            file.flush()
            places = {f"PEER_{kind.upper()}": each for kind, each in names.items()}
            environment = places | {
                "PEER_BOOTSTRAP": settings.kafka.bootstrap,
                "PEER_COUNT": str(count),
                "PEER_FILE": file.name,
            }
            yield Input(environment, count)
        finally:
            await producer.stop()
            found = await admin.list_topics()
            # What a peer has made for itself has the name of its group, which begins like ours.
            await admin.delete_topics([each for each in found if name in each])
            await admin.close()


async def rate(python: Path, script: str, given: Input, **more: str) -> float:
    """Run a peer from its first trade to its last; return trades a second.

    Args:
        python: Of the peers' environment, by its whole path.
        script: The peer's program.
        given: The trades.
        more: Further words of its environment.

    Raises:
        LockstepError: It failed, or was far too slow.
    """
    group = f"{given.environment['PEER_TICKS'].removesuffix('ticks')}{uuid.uuid4().hex[:6]}"
    path = {"PATH": os.environ["PATH"], "HOME": tempfile.gettempdir()}
    words = ["worker", "-l", "error"] if "faust" in script else []
    process = await asyncio.create_subprocess_exec(
        python,
        SCRIPTS / f"{script}.py",
        *words,
        env=path | given.environment | {"PEER_GROUP": group} | more,
        cwd=tempfile.gettempdir(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, error = await asyncio.wait_for(process.communicate(), PATIENCE)
    except TimeoutError:
        process.kill()
        output, error = await process.communicate()
    _, answer, rest = output.rpartition(b'{"trades"')  # a banner may have hidden a cursor before
    if not answer:
        raise LockstepError(f"{script} came to no end: {(error or output).decode()[-800:]}")
    said: Mapping[str, Any] = orjson.loads(answer + rest)
    return float(said["trades"] / said["seconds"])


async def _append(
    producer: AIOKafkaProducer, names: Mapping[str, str], records: list[Packed]
) -> int:
    """Append every trade as a tick, in the market's order, and the records as they are."""
    rows = [
        (record.time[row], record.instrument, orjson.dumps(_tick(record, row)))
        for record in trades(records)
        for row in range(len(record.id))
    ]
    for _, instrument, value in sorted(rows, key=lambda row: row[0]):
        await producer.send(names["ticks"], value, instrument.encode())
    for packed in records:
        await producer.send(names["records"], packed.value, packed.instrument.encode())
    await producer.flush()
    return len(rows)


def _tick(record: Trades, row: int) -> dict[str, Any]:
    """Return a trade as a tick: doubles, as nearly all software has it."""
    return {
        "instrument": record.instrument,
        "id": record.id[row],
        "time": record.time[row],
        "price": float(record.price[row]),
        "quantity": float(record.quantity[row]),
        "buyer_maker": record.buyer_maker[row],
    }


def _rows(records: list[Packed]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for record in trades(records):
        columns = record.id, record.time, record.price, record.quantity, record.buyer_maker
        found.setdefault(record.instrument.rpartition(":")[2], []).extend(
            [number, at, plain(price), plain(size), resting]
            for number, at, price, size, resting in zip(*columns, strict=True)
        )
    return found
