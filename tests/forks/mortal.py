"""Processes that kill themselves at a chosen effect: `python -m tests.forks.mortal`, a line each.

A line on standard input is a JSON object: what to do, with what, and after how many effects to die.
Each is done by a child of this process, so that the imports are paid for once; how it ended is
printed: `killed`, or what it came to. A program whose parent was killed becomes a child of this
process, and `rest` answers once none is left.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from app.forks.agent import ForkAgent, Rules
from app.forks.ledger import Ledger
from app.forks.tiger import TigerBackend
from app.forks.tiger_command import Keys, TigerCommand
from app.runtime.ports import Entry, Place, Stored
from app.storage.database import DatabaseSettings
from tests.forks.tiger_api import PUBLIC, SECRET, SOURCE
from tests.forks.tigers import BRISK, LIKE

READY_WITHIN = 60.0
PR_SET_CHILD_SUBREAPER = 36
"""Of prctl(2): who outlives its parent becomes a child of ours."""


class Mortality:
    """Counts effects, and ends the process by SIGKILL at the chosen one."""

    def __init__(self, effects: int | None = None) -> None:
        self.left = effects

    def effect(self) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)


class FileLog:
    """The topic `forks` as a file, a line a record; see `Log`."""

    def __init__(self, file: Path, mortality: Mortality) -> None:
        self._file = file
        self._mortality = mortality

    async def append(self, entries: Sequence[Entry]) -> list[int]:
        with self._file.open("ab") as file:
            for entry in entries:
                file.write(entry.value + b"\n")
        self._mortality.effect()
        return []

    async def read(self, place: Place, _: int | None = None) -> list[Stored]:
        lines = self._file.read_bytes().splitlines() if self._file.exists() else []
        return [Stored(*place, at, b"", line) for at, line in enumerate(lines)]


class Backend(TigerBackend):
    """The real back end, without the questions that come before anything is done."""

    async def check(self) -> None:
        pass


class Command(TigerCommand):
    """The real program, with a death before it starts and one while it runs."""

    def __init__(self, *arguments: Any, mortality: Mortality) -> None:
        super().__init__(*arguments)
        self._mortality = mortality

    async def call(self, *words: str, **options: Any) -> Any:
        self._mortality.effect()
        return await super().call(*words, **options)

    async def _communicate(self, process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
        self._mortality.effect()
        return await super()._communicate(process)


async def let_in(_: DatabaseSettings) -> None:
    """Let everybody in."""


def agent_of(task: dict[str, Any]) -> ForkAgent:
    mortality = Mortality(task.get("effects"))
    keys = Keys(PUBLIC, SECRET, task["api"])
    command = Command(task["program"], keys, mortality=mortality)
    backend = Backend(command, keys, SOURCE, LIKE, pace=BRISK, knock=let_in)
    log = FileLog(Path(task["ledger"]), mortality)
    return ForkAgent(backend, Ledger(log), Rules(ready_within=READY_WITHIN))  # type: ignore[arg-type]


async def do(task: dict[str, Any]) -> str:
    agent = agent_of(task)
    if task["do"] == "create":
        life = await agent.create()
    else:
        life = await agent.delete(task["fork"])
    await agent.backend.close()
    return life.step


def live(task: dict[str, Any]) -> str:
    """Do it in a child and return how the child ended."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            asyncio.run(do(task))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return "killed" if killed else f"ended {os.waitstatus_to_exitcode(status)}"


def rest() -> str:
    """Wait for every program whose parent was killed."""
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    return "nobody is left"


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for line in sys.stdin:
        task = orjson.loads(line)
        sys.stdout.write((rest() if task["do"] == "rest" else live(task)) + "\n")
        sys.stdout.flush()
