"""A worker of another version of the code that decides, or one of whose stages never returns."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

from app.core import flow

if "VERSION" in os.environ:
    flow.VERSION = int(os.environ["VERSION"])  # before anybody imports it by name

from faust.cli.faust import cli

from app.runtime.stage import StageRuntime


def hang(how: str, stage: str) -> None:
    """Let a stage's first batch never end: busy, or waiting for what never comes."""
    take = StageRuntime.take

    async def stuck(self: StageRuntime, batches: Any) -> None:
        await take(self, batches)
        if self.stage.name == stage:
            if how == "busy":
                block()
            await asyncio.Event().wait()

    StageRuntime.take = stuck  # type: ignore[method-assign]


def block() -> None:
    """Never return, and let nobody else in the event loop go on."""
    while True:
        time.sleep(1.0)


if __name__ == "__main__":
    if "HANG" in os.environ:
        hang(*os.environ["HANG"].split())
    sys.argv = ["faust", "-A", "app", "worker"]
    cli()
