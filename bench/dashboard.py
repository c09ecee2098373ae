"""A prefix and a schema enter; a dashboard process that serves them, and its address, leave."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from app.config_sections import Kafka
from app.errors import LockstepError

HOST = "127.0.0.1"
ANSWERS_WITHIN = 60.0  # seconds
PROGRAM = "from app.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One that runs.

    Attributes:
        port: Where, on loopback.
        secret: What opens it.
        pid: Of its process.
    """

    port: int
    secret: str
    pid: int

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self.port}"

    def processor_seconds(self) -> float:
        """Return the processor time that it has used so far."""
        words = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.asynccontextmanager
async def dashboard(kafka: Kafka, schema: str) -> AsyncIterator[Dashboard]:
    """Run a dashboard on an installation while the block runs."""
    with socket.create_server((HOST, 0)) as free:
        port = int(free.getsockname()[1])
    secret = secrets.token_hex(16)
    environment = os.environ | {
        "LOCKSTEP_KAFKA__BOOTSTRAP": kafka.bootstrap,
        "LOCKSTEP_KAFKA__PREFIX": kafka.prefix,
        "LOCKSTEP_DATABASE__SCHEMA": schema,
        "LOCKSTEP_DASHBOARD__PASSWORD": secret,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, "dashboard", "--port", str(port)),
        env=environment, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        made = Dashboard(port, secret, process.pid)
        await _answers(made)
        yield made
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(made: Dashboard) -> None:
    deadline = time.monotonic() + ANSWERS_WITHIN
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{made.address}/healthz"):
                    return
            await asyncio.sleep(0.1)  # a port can't say when it is open
    raise LockstepError("the dashboard did not answer: see that `lockstep dashboard` starts here.")
