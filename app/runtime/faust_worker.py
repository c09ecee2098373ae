"""Faust's app and its worker process enter; they leave without what nothing here needs."""

from __future__ import annotations

import asyncio
from typing import Any

import faust
from faust.app.base import BootStrategy


class Boot(BootStrategy):  # type: ignore[misc]
    """What a Faust app here does without: its web pages are open, its sends are not awaited."""

    enable_web = False
    enable_kafka_producer = False


class App(faust.App):  # type: ignore[misc]
    """A Faust app that leaves nothing on a disk and listens nowhere."""

    BootStrategy = Boot

    def _create_directories(self) -> None:
        """Make none: they are for tables, which nothing here has."""


class Worker(faust.Worker):  # type: ignore[misc]
    """Faust's worker process, as `faust -A app worker` makes it."""

    def __init__(self, app: App, *services: Any, **options: Any) -> None:
        # The command has switched it on by default; the banner would name a port that nobody opens.
        app.conf.web_enabled = False
        super().__init__(app, *services, **options)

    async def _cry(self) -> None:
        """Show where every task stands on SIGUSR1; Faust's own shows the variables, too."""
        for task in asyncio.all_tasks():
            task.print_stack(file=self.stderr)
