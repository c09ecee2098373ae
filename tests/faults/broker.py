"""A broker of one's own, so that it may be killed: verbs in, a Kafka on loopback out."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from app.commands.stack import CHECKOUT


class BrokerError(RuntimeError):
    """The broker could not be started."""


class Broker:
    """A Kafka by deploy/local, with its data in a folder of its own."""

    def __init__(self, folder: Path, jars_of: Path) -> None:
        self._folder = folder / "kafka"
        self._folder.mkdir(parents=True, exist_ok=True)
        for jars in jars_of.glob("kafka/jars-[0-9]*"):  # fetched before: no need to fetch again
            if not (self._folder / jars.name).exists():
                (self._folder / jars.name).symlink_to(jars.resolve())
        self._environment = os.environ | {"LOCKSTEP_LOCAL_DIR": str(folder)}

    async def start(self) -> str:
        """Start it, if need be, and return its address."""
        await self._do("start")
        return (await self._do("status")).strip()

    async def stop(self) -> None:
        await self._do("stop")

    def send(self, number: signal.Signals) -> None:
        """Send the broker's process a signal."""
        os.kill(int((self._folder / "pid").read_text()), number)

    async def _do(self, verb: str) -> str:
        process = await asyncio.create_subprocess_exec(
            str(CHECKOUT / "deploy" / "local" / "kafka"), verb,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, error = await process.communicate()
        if process.returncode:
            raise BrokerError(error.decode().strip())
        return out.decode()
