"""This machine enters; what a reader must know of it to judge a number leaves."""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
from pathlib import Path

from app.config import Settings
from app.storage.database import Database


async def facts(settings: Settings) -> dict[str, str]:
    """Return the date, the code, the machine and the services, as text."""
    async with Database(settings.database.storage()) as database:
        health = await database.health()
    return {
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC",
        "commit": _commit(),
        "processor": f"{os.cpu_count()} of {_field('/proc/cpuinfo', 'model name')}",
        "memory": _field("/proc/meminfo", "MemTotal"),
        "load before": _load(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "database": f"PostgreSQL {health.server}, TimescaleDB {health.extension} {health.edition}",
    }


def _load() -> str:
    return ", ".join(f"{value:.1f}" for value in os.getloadavg()) + " (1, 5, 15 minutes)"


def _commit() -> str:
    """Return the commit, with a + where files differ from it."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"],  # noqa: S607 - the one in PATH
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def _field(file: str, name: str) -> str:
    """Return a field of one of Linux's tables of itself."""
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return "unknown"
    values = [line.partition(":")[2].strip() for line in lines if line.startswith(name)]
    return values[0] if values else "unknown"
