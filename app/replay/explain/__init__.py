"""A record of a run, or a moment, enters; what caused it leaves, down to the very trades."""

from __future__ import annotations

from app.replay.explain.archive import Archive, Wanted
from app.replay.explain.causes import explain
from app.replay.explain.gather import Moment, gather_moment, gather_named
from app.replay.explain.tree import Node, document

__all__ = [
    "Archive",
    "Moment",
    "Node",
    "Wanted",
    "document",
    "explain",
    "gather_moment",
    "gather_named",
]
