"""JSON text enters, a tree that can hold any nonsense leaves, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Raw:
    """Text that stands in the document as it is: a number, or nonsense."""

    text: str


class Pairs(list[tuple[Any, Any]]):
    """An object whose names may repeat."""


Slot = tuple[list[Any], int]
"""A place in a tree: a list or an object, and the index in it."""


def parse(raw: bytes) -> Pairs:
    """Return the tree of a record."""
    tree: Pairs = json.loads(raw, object_pairs_hook=Pairs, parse_int=Raw, parse_float=Raw)
    return tree


def render(node: Any) -> str:
    """Return the text of a tree, without spaces."""
    if isinstance(node, Raw):
        return node.text
    if isinstance(node, Pairs):
        return "{" + ",".join(f"{render(name)}:{render(value)}" for name, value in node) + "}"
    if isinstance(node, list):
        return "[" + ",".join(map(render, node)) + "]"
    return json.dumps(node, ensure_ascii=False)


def slots(node: Any) -> Iterator[Slot]:
    """Yield the place of every value in a tree."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield node, index
            yield from slots(item[1] if isinstance(node, Pairs) else item)


def get(slot: Slot) -> Any:
    """Return what stands at a place."""
    container, index = slot
    return container[index][1] if isinstance(container, Pairs) else container[index]


def put(slot: Slot, value: Any) -> None:
    """Replace what stands at a place."""
    container, index = slot
    container[index] = (container[index][0], value) if isinstance(container, Pairs) else value


def objects(tree: Pairs) -> list[Pairs]:
    """Return every object in a tree, itself first."""
    inner = [get(slot) for slot in slots(tree)]
    return [tree, *(node for node in inner if isinstance(node, Pairs))]


def arrays(tree: Pairs) -> list[list[Any]]:
    """Return every array in a tree."""
    inner = [get(slot) for slot in slots(tree)]
    return [node for node in inner if isinstance(node, list) and not isinstance(node, Pairs)]
