"""How far something has come enters; a bar on a terminal leaves, or a line every ten seconds."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

PAUSE = 10.0  # seconds


class Meter:
    """Shows progress on standard error; use it as a context manager."""

    def __init__(self, title: str, unit: str, total: int | None) -> None:
        """Show nothing yet.

        Args:
            title: What is done.
            unit: What is counted, in the plural.
            total: About how many there will be.
        """
        self._title, self._unit, self._total = title, unit, total
        self._said = time.monotonic()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,} " + unit),
            TimeElapsedColumn(),
        )
        terminal = sys.stderr.isatty()
        self._bar = Progress(*columns, console=Console(stderr=True), disable=not terminal)
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task(self._title, total=self._total)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def tell(self, done: int, title: str = "") -> None:
        """Show how many are done, and what is being done."""
        self._bar.update(self._task, completed=done, description=title or self._title)
        now = time.monotonic()
        if self._bar.disable and now - self._said >= PAUSE:
            self._said = now
            of = f" of about {self._total:,}" if self._total else ""
            sys.stderr.write(f"{title or self._title}: {done:,}{of} {self._unit}\n")
            sys.stderr.flush()
