"""The settings enter; an agent with the back end and the rules they name leaves."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.config import Settings
from app.forks.agent import ForkAgent, Rules
from app.forks.backend import Backend
from app.forks.ledger import TOPIC, Ledger
from app.forks.local import LocalBackend
from app.forks.tiger import TigerBackend
from app.forks.tiger_command import Keys, TigerCommand
from app.runtime.kafka import KafkaLog
from app.runtime.ports import Log


def backend_of(settings: Settings) -> Backend:
    """Return the back end that the settings name; nothing is asked of it yet.

    Raises:
        ConfigurationError: The environment lacks the keys of Tiger Cloud.
    """
    forks, database = settings.forks, settings.database.storage()
    if forks.service is None:
        return LocalBackend(database, forks.prefix)
    keys = Keys.from_environment(os.environ)
    command = TigerCommand(forks.tiger, keys)
    return TigerBackend(command, keys, forks.service, database, prefix=forks.prefix)


def rules_of(settings: Settings) -> Rules:
    """Return what the settings hold every fork to."""
    forks = settings.forks
    return Rules(forks.prefix, forks.maximum, forks.ttl, forks.ready_within)


@asynccontextmanager
async def agent_on(settings: Settings, log: Log) -> AsyncIterator[ForkAgent]:
    """Lend an agent that writes to a log that is open."""
    backend = backend_of(settings)
    try:
        yield ForkAgent(backend, Ledger(log), rules_of(settings))
    finally:
        await backend.close()


@asynccontextmanager
async def open_agent(settings: Settings) -> AsyncIterator[ForkAgent]:
    """Lend an agent with a connection to the log of its own.

    Raises:
        UnreachableError: The broker is not there, or has no such topic.
        ConfigurationError: The environment lacks the keys of Tiger Cloud.
    """
    kafka = settings.kafka
    log = KafkaLog(kafka.bootstrap, kafka.prefix, **kafka.security())
    await log.start()
    try:
        await log.partitions(TOPIC)
        async with agent_on(settings, log) as agent:
            yield agent
    finally:
        await log.stop()
