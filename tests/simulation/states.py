"""A state topic enters; each key's state that counts leaves, by a rule told anew."""

from __future__ import annotations

from typing import Any

import orjson

from app.runtime.ports import Place
from tests.simulation.log import SimulatedLog


def newest_states(log: SimulatedLog, place: Place) -> dict[str, Any]:
    """Return each key's state as a document: of the highest token, the latest."""
    best: dict[str, tuple[int, int, Any]] = {}
    for offset, (_, value) in log.records.get(place, {}).items():
        document = orjson.loads(value)
        if document["type"] != "state":
            continue
        known = best.get(document["key"])
        if known is None or (document["token"], offset) > known[:2]:
            best[document["key"]] = (document["token"], offset, document)
    return {key: document for key, (_, _, document) in best.items()}
