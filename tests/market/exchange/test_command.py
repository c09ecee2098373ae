"""The command `exchange` serves, says where, and ends as told."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from app.cli import run
from tests.market.exchange.playing import DATA, DAY, PATIENCE

START = (sys.executable, "-c", "from app.cli import main; main()", "exchange")
ROOT = Path(__file__).parents[3]


async def start(*words: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(*START, *words, stdout=pipe, stderr=pipe, cwd=ROOT)


async def end(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE * 3)
    return process.returncode, out.decode(), err.decode()


async def rest_url(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async for line in process.stdout:
        if b"REST" in line:
            return line.decode().split()[-1]
    raise AssertionError(await end(process))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
async def test_it_serves_until_a_signal(number: signal.Signals, code: int) -> None:
    process = await start("--synthetic", "BTCUSDT:8500", "--start", "2019-10-11")
    url = await rest_url(process)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/api/v3/time") as answer,
    ):
        assert (await answer.json())["serverTime"] >= DAY
    process.send_signal(number)
    status, _, err = await end(process)
    assert (status, err) == (code, "")


async def test_it_plays_a_day_fast_and_ends_by_itself() -> None:
    dump = f"XRPETH={DATA / 'XRPETH-trades-2019-10-11.csv'}"
    options = ("--speed", "50000", "--until", "2019-10-11T04:00", "--exit")
    status, out, err = await end(await start("--dump", dump, *options))
    assert (status, err) == (0, "")
    assert "from 2019-10-11T00:00:00Z" in out
    assert "The clock stopped at 2019-10-11T04:00:00Z." in out


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["--dump", "XRPETH"], 2, "write SYMBOL=FILE"),
        (["--dump", "XRPETH=nowhere.csv"], 2, "no file 'nowhere.csv'"),
        (["--dump", "XRPETH=pyproject.toml"], 1, "pyproject.toml, line 1"),
        (["--synthetic", "NONSENSE"], 2, "quote asset of 'NONSENSE'"),
        (["--synthetic", "BTCUSDT:cheap"], 2, "the price was 'CHEAP'"),
        (["--synthetic", "BTCUSDT", "--synthetic", "BTCUSDT"], 2, "no symbol twice"),
        (["--until", "2019-10-11"], 2, "was not after the start"),
        (["--until", "noon"], 2, "'noon' is no time"),
        (["--exit"], 2, "without --until"),
    ],
)
def test_a_wrong_use_is_one_sentence(
    words: list[str], status: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["exchange", *words]) == status
    err = capsys.readouterr().err
    assert sentence in err
    assert "Traceback" not in err


async def test_a_port_in_use_is_named() -> None:
    first = await start("--synthetic", "BTCUSDT")
    port = (await rest_url(first)).rpartition(":")[2]
    code, _, err = await end(await start("--synthetic", "BTCUSDT", "--port", port))
    first.terminate()
    await end(first)
    assert code == 4
    assert f"127.0.0.1:{port} could not be listened on" in err
