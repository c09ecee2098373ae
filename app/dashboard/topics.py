"""How an installation was last found enters; its topics and groups, and records on them, leave."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import orjson

from app.dashboard.errors import AWAY, MISSING, OUT_OF_RANGE, AnswerError
from app.dashboard.watch import SINK, Watch
from app.errors import LockstepError, UnreachableError
from app.runtime.browse import Line, Selection, browse
from app.runtime.ports import Place
from app.runtime.status import INPUTS, StageStatus, Status
from app.runtime.topics import Cluster, Topic, declared

BROKER = "broker"
LONGEST_VALUE = 65_536
PATIENCE = 10.0
AT_A_TIME = 2


def listed(watch: Watch, prefix: str) -> dict[str, Any]:
    """Return every topic and group as the API gives them.

    Raises:
        AnswerError: The broker has not answered.
    """
    found = watch.found
    if found is None:
        raise AnswerError(AWAY, watch.problem or "the broker has not answered yet.", BROKER, 2)
    return {
        "asked_at": watch.asked_at,
        "topics": [_topic(watch, found, topic, prefix) for topic in declared().values()],
        "groups": [_group(found, stage) for stage in found.stages],
    }


def _topic(watch: Watch, found: Status, topic: Topic, prefix: str) -> dict[str, Any]:
    spans = {place: span for place, span in found.spans.items() if place.topic == topic.name}
    last = watch.last_of_topic(topic.name)
    return {
        "topic": topic.name,
        "name": prefix + topic.name,
        "description": topic.description,
        "key": topic.key,
        "cleanup": topic.cleanup,
        "retention_days": topic.retention_days,
        "types": list(topic.records),
        "records": sum(end - begin for begin, end in spans.values()),
        "rate": watch.rate(topic.name),
        "last_at": last,
        "age": None if last is None else max(round(time.time() * 1000) - last, 0),
        "partitions": [
            {"partition": place.partition, "begin": begin, "end": end}
            for place, (begin, end) in sorted(spans.items())
        ],
    }


def _group(found: Status, stage: StageStatus) -> dict[str, Any]:
    committed = found.committed[stage.stage]
    if stage.stage == SINK:
        committed = found.database.positions or {}
    return {
        "stage": stage.stage,
        "workers": list(stage.workers),
        "lag": stage.lag,
        "partitions": [
            _share(place, committed.get(place), begin, end)
            for place, (begin, end) in sorted(found.spans.items())
            if place.topic in INPUTS[stage.stage]
        ],
    }


def _share(place: Place, committed: int | None, begin: int, end: int) -> dict[str, Any]:
    done = begin if committed is None else max(committed, begin)
    return {
        "topic": place.topic,
        "partition": place.partition,
        "committed": committed,
        "end": end,
        "lag": max(end - done, 0),
    }


class Peek:
    """Reads records off topics, a few requests at a time.

    Args:
        cluster: The broker.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._free = asyncio.Semaphore(AT_A_TIME)

    async def records(self, selection: Selection) -> dict[str, Any]:
        """Return what is selected, newest first; raises AnswerError."""
        _check(selection)
        try:
            async with asyncio.timeout(PATIENCE), self._free:
                lines = await browse(self._cluster, selection)
        except TimeoutError as error:
            sentence = "that takes too long to look for: name a partition, an offset or a time."
            raise AnswerError(AWAY, sentence, BROKER) from error
        except UnreachableError as error:
            raise AnswerError(AWAY, str(error), BROKER, 2) from error
        except LockstepError as error:
            raise AnswerError(MISSING, str(error)) from error
        return {"topic": selection.topic, "records": [_record(line) for line in reversed(lines)]}


def _check(selection: Selection) -> None:
    topic = declared().get(selection.topic)
    if topic is None:
        raise AnswerError(MISSING, f"there is no topic {selection.topic[:80]!r}: /api/topics.")
    if selection.partition is not None and selection.partition >= topic.partitions:
        raise AnswerError(
            OUT_OF_RANGE, f"{topic.name} has only the partitions 0 to {topic.partitions - 1}."
        )


def _record(line: Line) -> dict[str, Any]:
    return {
        "partition": line.partition,
        "offset": line.offset,
        "time": line.time,
        "key": line.key,
        "size": len(line.value.encode()),
        "value": _value(line.value),
    }


def _value(text: str) -> Any:
    """Return a value as the JSON it is, digit by digit; as text where it is none, or long."""
    raw = text.encode()
    if len(raw) > LONGEST_VALUE:
        return text[:LONGEST_VALUE]
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError:
        return text
    return orjson.Fragment(raw)
