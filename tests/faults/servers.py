"""Servers of one's own, so that they may be killed: verbs in, their addresses out."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

from app.commands.stack import CHECKOUT

TRIES = 20
NEEDED = ("LOCKSTEP_KAFKA__BOOTSTRAP", "LOCKSTEP_DATABASE__PASSWORD")
"""What tells where a broker and a database are, those at hand or those of one's own."""


async def fetch(local: Path) -> None:
    """Fetch Kafka to where every Broker takes it from, before several want it at once.

    Raises:
        ServerError: It can't be fetched, and there is no broker at hand to use instead.
    """
    try:
        await _do("kafka", "install", local)
    except ServerError:
        if NEEDED[0] not in os.environ:
            raise


def check() -> None:
    """Raise ServerError where the environment names no broker or no database."""
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        raise ServerError(
            f"a broker and a database are needed, and the environment lacks {', '.join(missing)}: "
            "run it as ./run faults, which starts both"
        )


class ServerError(RuntimeError):
    """A server of one's own could not be started."""


class Server:
    """A service of deploy/local, with its data in a folder of its own.

    Args:
        service: Its script's name.
        folder: Where all its files are to be.
    """

    def __init__(self, service: str, folder: Path) -> None:
        self._service = service
        self._local = folder
        self._folder = folder / service
        self._folder.mkdir(parents=True, exist_ok=True)

    async def start(self) -> None:
        """Start it, if need be, and let this process's environment name it; raises ServerError."""
        await _do(self._service, "start", self._local)
        for line in (self._local / "stack.env").read_text().splitlines():
            name, value = line.split("=", 1)
            os.environ[name] = value

    async def stop(self) -> None:
        await _do(self._service, "stop", self._local)

    def send(self, number: signal.Signals) -> None:
        """Send the server's first process a signal."""
        raise NotImplementedError


class Broker(Server):
    """A Kafka."""

    def __init__(self, folder: Path, jars_of: Path) -> None:
        super().__init__("kafka", folder)
        for jars in jars_of.glob("kafka/jars-[0-9]*"):  # fetched before: no need to fetch again
            if not (self._folder / jars.name).exists():
                (self._folder / jars.name).symlink_to(jars.resolve())

    def send(self, number: signal.Signals) -> None:
        os.kill(int((self._folder / "pid").read_text()), number)


class Postgres(Server):
    """A PostgreSQL by this machine's own programs; a Debian root is not made for it."""

    def __init__(self, folder: Path) -> None:
        super().__init__("timescaledb", folder)

    async def start(self) -> None:
        if not _has_extension():
            raise ServerError("this machine's own PostgreSQL lacks TimescaleDB")
        if os.geteuid() == 0 and not _may_enter(self._folder):
            raise ServerError(f"PostgreSQL's user can't enter {self._folder}")
        await super().start()

    async def again(self) -> None:
        """Start it once the processes that a killed one left have gone."""
        for _ in range(TRIES):
            try:
                return await self.start()
            except ServerError:
                await asyncio.sleep(0.25)
        return await self.start()

    def send(self, number: signal.Signals) -> None:
        pid = (self._folder / "data" / "postmaster.pid").read_text().split()[0]
        os.kill(int(pid), number)


async def _do(service: str, verb: str, local: Path) -> None:
    """Run a script of deploy/local; raises ServerError with the last thing it said."""
    process = await asyncio.create_subprocess_exec(
        str(CHECKOUT / "deploy" / "local" / service), verb,
        env=os.environ | {"LOCKSTEP_LOCAL_DIR": str(local)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, error = await process.communicate()
    if process.returncode:
        raise ServerError(error.decode().strip().rpartition("\n")[2])


def _has_extension() -> bool:
    found = [*Path("/usr/lib/postgresql").glob("*/bin/pg_config"), shutil.which("pg_config")]
    for program in filter(None, found):
        shared = _ask(str(program), "--sharedir").stdout.strip()
        if (Path(shared) / "extension" / "timescaledb.control").exists():
            return True
    return False


def _may_enter(folder: Path) -> bool:
    return _ask("runuser", "-u", "postgres", "--", "test", "-x", str(folder)).returncode == 0


def _ask(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - ours
