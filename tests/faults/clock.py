"""Hours enter, by a file that may change; this process's wall clock is wrong by so many."""

from __future__ import annotations

import datetime as dt
import os
import threading
import time
from pathlib import Path
from typing import Any

LOOK_SECONDS = 0.1
HOUR = 3_600

_real = dt.datetime
_time, _time_ns = time.time, time.time_ns
_wrong = 0
"""By how many seconds; the monotonic clock, by which everything waits, is never wrong."""


class _Kind(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _real)


class _Wrong(_real, metaclass=_Kind):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        return _real.now(tz) + dt.timedelta(seconds=_wrong)


def install(path: Path) -> None:
    """Be wrong as the file says from here on; beside it is written what each process saw."""
    _look(path)
    time.time = lambda: _time() + _wrong
    time.time_ns = lambda: _time_ns() + _wrong * 1_000_000_000
    dt.datetime = _Wrong  # type: ignore[misc]
    threading.Thread(target=_watch, args=(path,), daemon=True).start()


def _watch(path: Path) -> None:
    while True:
        time.sleep(LOOK_SECONDS)
        _look(path)


def _look(path: Path) -> None:
    global _wrong  # noqa: PLW0603 - there is one clock
    text = path.read_text() if path.exists() else "0"
    if int(text) * HOUR != _wrong:
        _wrong = int(text) * HOUR
        seen(path, os.getpid()).write_text(text)


def seen(path: Path, pid: int) -> Path:
    """Return where a process writes by how many hours it is wrong."""
    return path.with_suffix(f".{pid}")
