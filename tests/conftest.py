"""The tests that were found enter; in a run of several processes the longest files leave first."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what may take longest, so that no process is at it when all others are done."""
    if not hasattr(config, "workerinput"):  # all in one process: in the order of the files
        return
    claimed = Counter[Path]()
    for item in items:
        claimed[item.path] += _claimed(item)
    items.sort(key=lambda item: claimed[item.path], reverse=True)


def _claimed(item: pytest.Item) -> int:
    """Return the seconds that a test claims for itself; 0 where the usual limit suffices."""
    mark = item.get_closest_marker("timeout")
    return int(mark.args[0]) if mark else 0
