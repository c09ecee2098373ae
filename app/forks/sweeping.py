"""A worker's settings and log enter; forks that nobody ends are ended, at its start and then on."""

from __future__ import annotations

import asyncio

import structlog

from app.config import Settings
from app.errors import LockstepError
from app.forks.opening import agent_on
from app.forks.sweep import Sweep
from app.runtime.ports import Log

log = structlog.get_logger()


async def sweep_for_ever(settings: Settings, records: Log) -> None:
    """Sweep again and again; what goes wrong is said once, and never ends the worker.

    It stands beside the flow: no stage waits for it, and what it writes no stage but the sink
    reads. Where there are no forks it only looks at the end of a topic.
    """
    said: list[str] = []
    while True:
        found = await _sweep(settings, records)
        for sentence in found:
            if sentence not in said:
                log.info("forks", reason=sentence)
        said = found
        await asyncio.sleep(settings.forks.sweep_every)


async def _sweep(settings: Settings, records: Log) -> list[str]:
    try:
        async with agent_on(settings, records) as agent:
            return await Sweep(agent).run()
    except Exception as error:  # noqa: BLE001 - forks are no reason to stop trading
        return [str(error) if isinstance(error, LockstepError) else repr(error)]
