"""Nothing, or a name, enters; replays with their reports, forks with their steps, leave."""

from __future__ import annotations

from datetime import datetime
from itertools import groupby
from typing import Any

import asyncpg

from app.dashboard.errors import MISSING, AnswerError
from app.dashboard.history import paging
from app.dashboard.history.lists import Page
from app.dashboard.history.store import View
from app.dashboard.values import row, rows

KEY: dict[str, paging.Kind] = {"started_at": datetime, "replay_id": str}

REPLAYS = """
SELECT replay_id, kind, from_time, to_time, date_trunc('milliseconds', started_at) AS started_at,
    finished_at, input, configuration, report
FROM replays
WHERE $2::timestamptz IS NULL
    OR (date_trunc('milliseconds', started_at), replay_id) < ($2, $3::text)
ORDER BY date_trunc('milliseconds', started_at) DESC, replay_id DESC LIMIT $1
"""
REPLAY = """
SELECT replay_id, kind, from_time, to_time, started_at, finished_at, input, configuration, report
FROM replays WHERE replay_id = $1
"""
FORKS = """
SELECT fork_id, step, at, backend, detail, identity, topic_partition, topic_offset
FROM forks ORDER BY fork_id, topic_offset
"""
PROOF = """
SELECT to_time, finished_at, report FROM replays
WHERE kind = 'verify' AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 1
"""


async def replays(view: View, asked: Page) -> dict[str, Any]:
    """Return a page of the replays, newest first."""
    found = await view.fetch(REPLAYS, asked.limit + 1, *paging.read(asked.before, KEY))
    shown, after = paging.page(found, asked.limit, KEY)
    listed = [_replay(record) for record in shown]
    for replay in listed:
        del replay["configuration"]
    return {"cursor": view.cursor, "rows": listed, "next": after}


async def replay(view: View, name: str) -> dict[str, Any]:
    """Return one replay; raises AnswerError where there is none."""
    record = await view.fetchrow(REPLAY, name)
    if record is None:
        raise AnswerError(MISSING, f"there is no replay {name[:80]}: /api/replays lists them.")
    return _replay(record)


async def forks(view: View) -> dict[str, Any]:
    """Return every fork with its steps."""
    steps = rows(await view.fetch(FORKS), "forks")
    return {
        "cursor": view.cursor,
        "forks": [_fork(list(group)) for _, group in groupby(steps, lambda step: step["fork_id"])],
    }


async def proof(view: View) -> dict[str, Any] | None:
    """Return what the last verification found; None where none was recorded."""
    record = await view.fetchrow(PROOF)
    if record is None:
        return None
    found = row(record)
    report = found["report"] if isinstance(found["report"], dict) else {}
    differences = report.get("differences", 0)
    return {
        "state": "different" if differences else "equal",
        "checked_at": found["finished_at"],
        "through": found["to"],
        "records": report.get("records"),
        "differences": differences,
        "first": report.get("first"),
    }


def _replay(record: asyncpg.Record) -> dict[str, Any]:
    found = row(record)
    accounts = found["configuration"] if isinstance(found["configuration"], list) else []
    return found | {"accounts": [each["name"] for each in accounts if "name" in each]}


def _fork(steps: list[dict[str, Any]]) -> dict[str, Any]:
    last = steps[-1]
    outer = ("fork_id", "step", "at", "backend", "detail")
    inner = ("step", "at", "detail", "id", "topic", "partition", "offset")
    return {
        **{name: last[name] for name in outer},
        "steps": [{name: step[name] for name in inner} for step in steps],
    }
