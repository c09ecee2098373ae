"""A real worker with a strategy of a user's own: it decides, and what fails there ends it well."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.authoring.template import STRATEGY, filled
from app.core.events import Candle, Clock, Message, Signal, StrategySetting
from app.pipeline import STAGES
from app.replay.driver import Replay
from app.runtime.codec import encode
from app.runtime.ports import Entry
from tests.integration.conftest import NEEDED
from tests.integration.worker import Installation, installed, remove
from tests.replay.market import A, account, batch, end, joining, walk

LATEST = 4
FAILING = "    if bar.time == {time}:\n        raise ValueError('no idea')\n    view ="

pytestmark = pytest.mark.integration


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        pytest.skip(f"needs a real broker and database: set {', '.join(missing)}, as ./run test")
    async with installed(tmp_path, with_schema=False) as made:
        folder = tmp_path / "strategies"
        folder.mkdir()
        text = filled(STRATEGY, "mine").replace("    view =", FAILING.format(time=end(LATEST)))
        (folder / "mine.py").write_text(text, encoding="utf-8")
        try:
            yield made
        finally:
            await remove(made, "state-mine")


def candles() -> list[Message]:
    """Return what the candles stage makes of a market for an account that lists the strategy."""
    owner = account("alpha", (A,), StrategySetting("mine", {"period": "2"}), short=False)
    replay = Replay([stage for stage in STAGES if stage.name == "candles"])
    for record in joining(owner, 1, A, 0, 0):
        replay.feed("trades", A, Message(record))
    for number, trades in enumerate(walk(random.Random(3), A, LATEST + 3)):
        replay.feed("trades", A, Message(batch(A, trades)))
        replay.feed("trades", A, Message(Clock(A, end(number), trades[-1].id, 0)))
    replay.run()
    return replay.messages("candles", A)


async def test_it_decides_until_a_bar_on_which_it_fails(installation: Installation) -> None:
    created = await installation.run("topics", "create")
    assert created.code == 0, created.error
    assert f"created {installation.prefix}state-mine" in created.out
    made = candles()
    assert sum(isinstance(message.record, Candle) for message in made) == LATEST + 3
    entries = [Entry("candles", A.encode(), encode(each)) for each in made]
    fatal = next(
        index
        for index, each in enumerate(made)
        if isinstance(each.record, Candle) and each.record.time == end(LATEST)
    )
    await installation.log.append(entries[:fatal])
    worker = await installation.start(LOCKSTEP_WORKER__STAGES="mine")
    await installation.until("signals", Signal, lambda found: len(found) == LATEST)
    await installation.log.append(entries[fatal:])
    assert await worker.ends() == 70
    said = "".join(worker.lines)
    assert "Traceback" not in said
    (line,) = [each for each in worker.lines if "stopped" in each]
    assert "strategy mine failed on the bar that ended at 2019-10-11T00:00:50Z" in line
    file = installation.folder / "strategies" / "mine.py"
    assert f"ValueError: no idea, in {file}, line " in line

    signals = await installation.records("signals", Signal)
    assert [signal.time for signal in signals] == [end(number) for number in range(LATEST)]
    assert {signal.strategy for signal in signals} == {"mine"}


async def test_what_can_not_be_loaded_ends_a_worker_at_once(installation: Installation) -> None:
    file = installation.folder / "strategies" / "mine.py"
    file.write_text("import nothing_like_it\n", encoding="utf-8")
    worker = await installation.start(LOCKSTEP_WORKER__STAGES="mine")
    assert await worker.ends() == 1
    said = "".join(worker.lines)
    assert said.startswith(f"Error: {file}, line 1 (import nothing_like_it): ModuleNotFoundError")
    assert "Traceback" not in said
    assert said.count("\n") == 1
