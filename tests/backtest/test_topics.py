"""What a run's topics hold is decided as its file is, also under other settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.configurations import REAL
from tests.integration.worker import Installation, installed
from tests.replay.test_ring import DAY

CONFIGURATION = "market: {history_count: 30}" + REAL
OTHER = ("--set", "accounts.real.strategies.macd.slow=9")
UNTIL = ("--to", "2019-10-11T02:00Z")

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


async def report(installation: Installation, *words: str) -> Any:
    done = await installation.run("backtest", *words, "--json")
    assert done.code == 0, done.error
    found = json.loads(done.out)
    return {name: found[name] for name in ("accounts", "instruments")}


async def test_topics_are_decided_as_their_file_is(servers: None, tmp_path: Path) -> None:
    assert servers is None
    dump = tmp_path / DAY.name
    lines = DAY.read_text().splitlines(keepends=True)
    dump.write_text("".join(line for line in lines if int(line.split(",")[4]) < 1_570_762_800_000))
    folder = tmp_path / "settings"
    folder.mkdir()
    async with installed(folder, with_schema=False, configuration=CONFIGURATION) as made:
        file = (str(dump), "--config", str(folder / "app.yaml"))
        done = await made.run("import", str(dump), "--instrument", "BINANCE:XRPETH")
        assert done.code == 0, done.error
        assert await report(made, "--topics") == await report(made, *file)
        other = await report(made, "--topics", *OTHER)
        assert other == await report(made, *file, *OTHER)
        assert other != await report(made, "--topics")

        late = await report(made, "--topics", "--from", "2019-10-11T01:00Z", *UNTIL)
        account = late["accounts"][0]
        assert (account["from"], account["to"]) == ("2019-10-11T01:00:00Z", "2019-10-11T01:59:00Z")

        done = await made.run("check-lookahead", "--topics", "--cuts", "1")
        assert done.code == 0, done.error
        assert "no look-ahead: 1 cut changed none of" in done.out
