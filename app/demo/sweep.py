"""A broker and a database enter; what earlier demo runs left on them is gone."""

from __future__ import annotations

import re

from aiokafka.admin import AIOKafkaAdminClient

from app.config import Settings
from app.runtime.connection import spoken
from app.storage.database import Database

RUN = re.compile(r"demo-\d{8}-\d{6}\.")
SCHEMAS = r"SELECT nspname FROM pg_namespace WHERE nspname ~ '^demo_\d{8}_\d{6}$'"


async def sweep(settings: Settings, database: Database) -> int:
    """Delete the topics and schemas of every other demo run; return how many runs there were."""
    runs = {name.replace("_", "-") + "." for name in await _drop_schemas(settings, database)}
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka.bootstrap, **settings.kafka.security()
    )
    async with spoken(settings.kafka.bootstrap, settings.kafka.security()):
        try:
            await admin.start()
            stale = [name for name in await admin.list_topics() if _is_other(name, settings)]
            if stale:
                await admin.delete_topics(stale)
        finally:
            await admin.close()
    return len(runs | {name[: name.index(".") + 1] for name in stale})


def _is_other(topic: str, settings: Settings) -> bool:
    return bool(RUN.match(topic)) and not topic.startswith(settings.kafka.prefix)


async def _drop_schemas(settings: Settings, database: Database) -> list[str]:
    names = [row["nspname"] for row in await database.fetch(SCHEMAS)]
    others = [name for name in names if name != settings.database.schema_]
    for name in others:
        # The name matched a pattern of letters, digits and underscores.
        await database.execute(f'DROP SCHEMA "{name}" CASCADE')
    return others
