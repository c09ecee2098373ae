"""Ends a process that says it works and does not move; one thread watches every stage."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import structlog

log = structlog.get_logger()

EXIT_STUCK = 70


class Watchdog:
    """Knows since when its stage has been working on one batch.

    Attributes:
        stage: Whose work it watches.
    """

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._since: float | None = None
        self._waiting = ""

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Watch what is done inside."""
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None

    def wait_for(self, what: str) -> None:
        """Say that the work waits for something outside, which is no fault; empty: it goes on."""
        self._waiting = what
        if not what and self._since is not None:
            self._since = time.monotonic()

    def stuck_for(self, now: float) -> float:
        """Return for how many seconds the work has not moved; 0 when idle or waiting."""
        if self._since is None or self._waiting:
            return 0.0
        return now - self._since


def watch(
    watchdogs: list[Watchdog], limit: float, end: Callable[[int], None] = os._exit
) -> threading.Event:
    """Start the watching thread; `limit` is in seconds. Set the returned event to stop it."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(min(1.0, limit / 4)):
            now = time.monotonic()
            stuck = [dog.stage for dog in watchdogs if dog.stuck_for(now) > limit]
            if stuck:
                _say(stuck, limit)
                try:
                    # Not sys.stderr: Faust puts its own log there, which has no file.
                    faulthandler.dump_traceback(sys.__stderr__ or 2)
                finally:
                    end(EXIT_STUCK)
                return

    threading.Thread(target=run, name="watchdog", daemon=True).start()
    return stop


def _say(stages: Iterable[str], limit: float) -> None:
    """Name every stage over its time: who blocks the loop is one of them, not always the first."""
    for stage in stages:
        log.error(
            "stuck",
            stage=stage,
            reason=f"no progress for {limit:.0f} s on one batch: the process ends so that its "
            f"partitions go to a worker that moves",
        )
