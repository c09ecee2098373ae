"""How many enters; the newest dead letters leave, with a part of the bytes they are about."""

from __future__ import annotations

import base64
from typing import Any

import asyncpg

from app.dashboard.history import paging
from app.dashboard.history.lists import Page
from app.dashboard.history.store import View
from app.runtime.codec import readable

SHOWN = 4_096
TOPIC = "dead-letters"
KEY: dict[str, paging.Kind] = {"topic_offset": int, "topic_partition": int}

LETTERS = """
SELECT topic, partition, "offset", key, stage, reason, size, left(payload, 5464) AS payload,
    identity, topic_partition, topic_offset
FROM dead_letters
WHERE $2::bigint IS NULL OR (topic_offset, topic_partition) < ($2, $3::int)
ORDER BY topic_offset DESC, topic_partition DESC LIMIT $1
"""


async def letters(view: View, asked: Page) -> dict[str, Any]:
    """Return a page of the dead letters, newest first."""
    found = await view.fetch(LETTERS, asked.limit + 1, *paging.read(asked.before, KEY))
    shown, after = paging.page(found, asked.limit, KEY)
    return {
        "cursor": view.cursor,
        "rows": [_letter(record) for record in shown],
        "next": after,
    }


def _letter(record: asyncpg.Record) -> dict[str, Any]:
    raw = base64.b64decode(record["payload"])[:SHOWN]
    place = (record["topic_partition"], record["topic_offset"])
    plain = ("topic", "partition", "offset", "key", "stage", "reason", "size")
    return {
        **{name: record[name] for name in plain},
        "text": readable(raw),
        "payload": base64.b64encode(raw).decode(),
        "id": record["identity"],
        "at": {"topic": TOPIC, "partition": place[0], "offset": place[1]},
    }
