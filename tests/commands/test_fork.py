"""Forks of a real database by command: made, listed, looked at, run on, deleted, swept."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from app.commands.fork import _card
from app.times import format_time
from tests.forks.test_whatif_real import (
    SMALL,
    Invoke,
    commands,
    installation,  # noqa: F401 - a fixture
    run,  # noqa: F401 - a fixture
)
from tests.integration.worker import Installation
from tests.replay.market import end
from tests.replay.recording import MemoryTopics

pytestmark = pytest.mark.integration
in_one_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def invoke(
    installation: Installation,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Invoke]:
    """Run a command of ours in this process; what it forked is gone at the end."""
    prefix = f"t{uuid.uuid4().hex[:16]}-"  # a test sees no other's forks
    monkeypatch.setenv("LOCKSTEP_FORKS__PREFIX", prefix)
    yield commands(installation, monkeypatch)
    for name in await databases(installation, prefix):
        await drop(installation, name)


async def connect(installation: Installation) -> asyncpg.Connection:  # noqa: F811
    settings = installation.settings()
    return await asyncpg.connect(
        host=settings.host,
        port=settings.port,
        user=settings.user,
        password=settings.password,
        database=settings.name,
    )


async def databases(installation: Installation, prefix: str) -> list[str]:  # noqa: F811
    connection = await connect(installation)
    rows = await connection.fetch("SELECT datname FROM pg_database WHERE starts_with(datname, $1)",
                                  prefix)  # fmt: skip
    await connection.close()
    return [row["datname"] for row in rows]


async def drop(installation: Installation, name: str) -> None:  # noqa: F811
    connection = await connect(installation)
    await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await connection.close()


async def rows(invoke: Invoke, *words: str) -> list[dict[str, Any]]:
    done = await invoke("fork", *words, "--json")
    assert done.exception is None, done.exception
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@in_one_loop
async def test_a_fork_lives_is_run_on_and_ends(
    invoke: Invoke,
    run: MemoryTopics,  # noqa: F811
) -> None:
    assert run.derived()
    done = await invoke("fork", "create", "--ttl", "1h", "--json")
    (made,) = json.loads(done.stdout)
    assert "was asked for" in done.stderr
    assert (made["step"], made["backend"], made["at"]) == ("ready", "local", "now")
    assert [each["fork"] for each in await rows(invoke, "list")] == [made["fork"]]
    shown = await invoke("fork", "show", made["fork"])
    assert made["handle"] in shown.stderr

    words = ("fork", "run", "--at", format_time(end(20)), "--set", SMALL, "--json")
    of_run = await invoke(*words)
    of_fork = await invoke(*words, "--fork", made["fork"])
    assert of_fork.exception is None, of_fork.exception
    same = {"restored_from": None}
    assert json.loads(of_fork.stdout) | same == json.loads(of_run.stdout) | same
    (now,) = await rows(invoke, "show", made["fork"])
    assert (now["step"], now["detail"]) == ("finished", "compared with the run: fork")

    done = await invoke("fork", "delete", made["fork"])
    assert done.stdout == f"{made['fork']}\tdeleted\n"
    assert await rows(invoke, "list") == []
    assert "There is no fork" in (await invoke("fork", "list")).stderr
    assert [each["step"] for each in await rows(invoke, "list", "--all")] == ["deleted"]
    again = await invoke(*words, "--fork", made["fork"])
    assert "can't be used, it is deleted" in str(again.exception)


def test_a_narrow_terminal_holds_a_fork() -> None:
    name = f"fm-{uuid.uuid4()}"
    row = {"fork": name, "step": "failed", "handle": name, "detail": f"{name} was lost; " * 8}
    first, second, *lines = _card(row).splitlines()
    assert (first, second.split()) == (name, ["step", "failed"])
    assert " ".join(lines).split() == ["detail", *row["detail"].split()]
    assert max(map(len, lines)) < 80


@in_one_loop
async def test_a_sweep_deletes_a_fork_whose_time_is_over(
    installation: Installation,  # noqa: F811
    invoke: Invoke,
) -> None:
    (made,) = await rows(invoke, "create", "--ttl", "1ms")
    done = await invoke("fork", "sweep")
    assert done.stdout == f"{made['fork']} was deleted: its time is over\n"
    assert await databases(installation, made["fork"]) == []
    assert (await invoke("fork", "sweep")).stdout == ""


@in_one_loop
async def test_what_a_back_end_can_not_do_is_said(invoke: Invoke) -> None:
    for words, told in (
        (("create", "--at", "2019-10-11"), "keeps no older state"),
        (("create", "--at", "yesterday"), "is no time"),
        (("create", "--ttl", "soon"), "is no duration"),
        (("show", "fm-none"), "there is no fork fm-none"),
        (("run", "--at", "2019-10-11", "--fork", "a", "--from-database"), "choose one"),
    ):
        done = await invoke("fork", *words)
        assert told in str(done.exception), done.stdout
        assert done.stdout == ""
