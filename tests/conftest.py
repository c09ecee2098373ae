"""The tests that were found enter; in a run of several processes the longest leave first."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what may take longest, so that no process is at it when all others are done."""
    if hasattr(config, "workerinput"):  # one process of several
        items.sort(key=_allowed, reverse=True)


def _allowed(item: pytest.Item) -> float:
    """Return the seconds that a test claims for itself; 0 where the usual limit suffices."""
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark else 0.0
