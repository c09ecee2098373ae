"""A replay's report enters; a row of the table `replays` leaves."""

from __future__ import annotations

import uuid
from dataclasses import asdict

import orjson

from app.config import Settings
from app.replay.session import Report, Request
from app.storage.database import Database
from app.storage.values import document, instant

ROW = """
INSERT INTO replays
    (replay_id, kind, from_time, to_time, input, configuration, report, started_at, finished_at)
VALUES ($1, 'replay', $2, $3, $4, $5, $6, now() - make_interval(secs => $7), now())
"""


async def store(database: Database, settings: Settings, request: Request, report: Report) -> str:
    """Store what a replay read and what came out; return its id."""
    identity = uuid.uuid4().hex
    files = {dump.instrument: [path.name for path in dump.files] for dump in request.dumps}
    source = {"source": report.source, "prefix": settings.kafka.prefix, "files": files}
    # A run's accounts stand in its epochs; those of files come from the configuration of now.
    accounts = settings.accounts() if request.dumps else ()
    await database.execute(
        ROW,
        identity,
        None if report.start is None else instant(report.start),
        None if report.end is None else instant(report.end),
        orjson.dumps(source).decode(),
        document(
            [each for each in accounts if each.name in request.accounts or not request.accounts]
        ),
        orjson.dumps(asdict(report)).decode(),
        report.seconds,
    )
    return identity
