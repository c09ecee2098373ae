"""What is known of one record, and of what caused it, as a tree that JSON can carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from app.core.decimals import plain
from app.replay.explain.names import name_of
from app.replay.explain.row import Row
from app.times import format_time


@dataclass(frozen=True, slots=True)
class Node:
    """One record, or some that belong together, in a trader's words.

    Attributes:
        kind: fill, order, risk, refusal, allocation, portfolio, signal, candle, trades, ….
        name: The record's name; empty where no single one is meant.
        says: What happened, in a sentence.
        time: Milliseconds since the epoch UTC; none where it has none.
        place: Topic, partition and offset; none where no single record is meant.
        facts: The numbers behind it.
        causes: What led to it.
        effects: What came of it.
    """

    kind: str
    name: str
    says: str
    time: int | None = None
    place: tuple[str, int, int] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    causes: tuple[Node, ...] = ()
    effects: tuple[Node, ...] = ()


def node(
    kind: str,
    row: Row,
    says: str,
    facts: Mapping[str, Any] | None = None,
    *,
    causes: tuple[Node, ...] = (),
    effects: tuple[Node, ...] = (),
) -> Node:
    """Return the node of a row."""
    time = row.time or None
    return Node(kind, name_of(row), says, time, row.place, facts or {}, causes, effects)


def document(tree: Node) -> dict[str, Any]:
    """Return a tree for JSON: decimals as text, times RFC 3339."""
    topic, partition, offset = tree.place or (None, None, None)
    return {
        "kind": tree.kind,
        "name": tree.name,
        "says": tree.says,
        "time": None if tree.time is None else format_time(tree.time),
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "facts": {name: _plain(value) for name, value in tree.facts.items()},
        "causes": [document(each) for each in tree.causes],
        "effects": [document(each) for each in tree.effects],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in sorted(value.items())}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
