"""One recorded input, any number of workers: every topic and every table holds the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.core.events import Action, Clock, Command, Message, Portfolio, Trades
from app.pipeline import STAGES
from app.runtime.codec import encode
from app.runtime.ports import Entry, Stored
from app.runtime.status import status
from tests.integration.proof import DERIVED, equals_its_replay, fills_the_tables, named
from tests.integration.worker import (
    MINUTE,
    START,
    Installation,
    _message,
    eventually,
    exchange,
    installed,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

MINUTES = 16
DECIDING = ",".join([*(stage.name for stage in STAGES), "sink"])
SPLIT = ("candles,momentum,risk", "macd,execution,sink", "portfolio,allocation")
COMMANDS = {START + 5 * MINUTE: Action.HALT, START + 9 * MINUTE: Action.RESUME}


@dataclass(frozen=True)
class Setting:
    """How a run is worked on.

    Attributes:
        name: What tells it from the others.
        workers: The stages of each worker.
        each: How many workers run each stage.
        joining: The stages of each worker that joins in the middle.
    """

    name: str
    workers: Sequence[str]
    each: int
    joining: Sequence[str] = ()


SETTINGS = (
    Setting("one", [DECIDING], 1),
    Setting("two", [DECIDING, DECIDING], 2),
    Setting("three", [DECIDING], 1, joining=[DECIDING, DECIDING]),
    Setting("split", SPLIT, 1),
)


async def test_any_number_of_workers_makes_the_same(
    installation: Installation, tmp_path: Path
) -> None:
    recorded = await record(installation)
    topics: dict[str, Mapping[str, set[bytes]]] = {}
    tables: dict[str, Mapping[str, list[str]]] = {}
    for setting in SETTINGS:
        (tmp_path / setting.name).mkdir()
        async with installed(tmp_path / setting.name) as fresh:
            await work(fresh, setting, recorded)
            replayed = await equals_its_replay(fresh, least=MINUTES)
            tables[setting.name] = await fills_the_tables(fresh, replayed)
            topics[setting.name] = {topic: named(await fresh.messages(topic)) for topic in DERIVED}
    for setting in SETTINGS[1:]:
        assert topics[setting.name] == topics["one"]
        assert tables[setting.name] == tables["one"]


async def record(installation: Installation) -> list[Stored]:
    """Return what a worker that runs market data alone has put on `trades`."""
    async with exchange(speed=300.0, until=START + (MINUTES + 1) * MINUTE + 5_000) as play:
        installation.serve(play)
        await installation.start(LOCKSTEP_WORKER__STAGES="market")
        await play.finished()

        async def ends() -> list[int]:
            reached: dict[str, int] = {}
            for message in await installation.messages("trades"):
                name = instrument(message)
                reached[name] = max(reached.get(name, 0), passed(message))
            return sorted(reached.values())

        def closed(found: list[int]) -> bool:
            return len(found) == 3 and found[0] >= START + MINUTES * MINUTE

        await eventually(ends, closed, installation.said)
    return await installation.stored("trades")


async def work(fresh: Installation, setting: Setting, recorded: list[Stored]) -> None:
    """Feed the record in parts, with a command after each but the last, to the workers."""
    for stages in setting.workers:
        await fresh.start(LOCKSTEP_WORKER__STAGES=stages)
    await shared(fresh, setting.each)
    for number, (time, action) in enumerate(COMMANDS.items(), start=1):
        part, recorded = cut(recorded, time)
        await append(fresh, part)
        await decided(fresh, time)
        command = Command("real", f"command-{number}", action, "a test", "")
        await fresh.log.append([Entry("signals", b"real", encode(Message(command)))])
        if number == 1:
            for stages in setting.joining:
                await fresh.start(LOCKSTEP_WORKER__STAGES=stages)
    await append(fresh, recorded)
    await shared(fresh, setting.each + len(setting.joining))
    await decided(fresh, START + MINUTES * MINUTE)


async def shared(fresh: Installation, workers: int) -> None:
    """Wait until every stage is run by so many workers."""

    async def members() -> set[int]:
        told = await status(fresh.cluster, fresh.settings())
        return {len(stage.workers) for stage in told.stages if stage.stage != "market"}

    await eventually(members, lambda found: found == {workers}, fresh.said)


def cut(recorded: list[Stored], time: int) -> tuple[list[Stored], list[Stored]]:
    """Split each partition after the record by which all its instruments have reached a time."""
    reached: dict[str, int] = {}
    part, rest = [], []
    for stored in recorded:
        message = _message(stored.value)
        name = instrument(message)
        if reached.get(name, 0) >= time:
            rest.append(stored)
            continue
        part.append(stored)
        reached[name] = max(reached.get(name, 0), passed(message))
    assert all(time <= end < time + MINUTE for end in reached.values()), "a record held too much"
    return part, rest


def instrument(message: Message) -> str:
    return str(message.record.instrument)  # type: ignore[attr-defined]


def passed(message: Message) -> int:
    """Return the time up to which a record closes candles; 0 for one that closes none."""
    record = message.record
    if isinstance(record, Trades):
        return max(record.time)
    return record.time if isinstance(record, Clock) else 0


async def append(fresh: Installation, part: Sequence[Stored]) -> None:
    await fresh.log.append(
        [Entry("trades", stored.key or b"", stored.value or b"") for stored in part]
    )


async def decided(fresh: Installation, time: int) -> None:
    """Wait until both accounts have decided at a time."""

    def holds(found: list[Portfolio]) -> bool:
        return {each.account for each in found if each.time == time} == {"paper", "real"}

    await fresh.until("portfolio", Portfolio, holds)
