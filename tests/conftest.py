"""Found tests enter; in which order, and which of several processes runs them, leaves."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

# Machines differ in speed; what a property test may not depend on is the time it takes.
settings.register_profile(
    "lockstep", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("lockstep")

# A shell that starts the tests in the background lets them ignore it, and what they start, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = ("tests/browser/",)
"""Folders whose files share what is costly to start."""


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


class ByFile(LoadFileScheduling):
    """Gives one process all tests of a file, or of a folder where files share something."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return next((folder for folder in SHARED if file.startswith(folder)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Let files go where there is room, in their order."""
    return ByFile(config, log)
