"""Records beside the flow enter, their rows leave."""

from __future__ import annotations

from app.core.events import DeadLetter, Fork, Inbound, Snapshot
from app.storage.values import Rows, document, instant, named


def fork(record: Fork, inbound: Inbound) -> Rows:
    """One row a step."""
    at = None if record.at is None else instant(record.at)
    what = (record.fork_id, record.step.value, instant(record.time), at)
    where = (record.backend, record.source, record.handle, instant(record.expires))
    return [("forks", (*what, *where, record.detail, *named(inbound)))]


def snapshot(record: Snapshot, inbound: Inbound) -> Rows:
    """One row; the body stays the text it was."""
    start = (instant(record.time), record.stage, record.key, record.version)
    return [("snapshots", (*start, document(record.needs), record.body, *named(inbound)))]


def dead_letter(record: DeadLetter, inbound: Inbound) -> Rows:
    """One row."""
    place = (record.topic, record.partition, record.offset)
    texts = (record.key, record.stage, record.reason, record.payload)
    return [("dead_letters", (*place, *texts, record.size, *named(inbound)))]
