"""Installations for the tests of whole workers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.worker import Installation, installed

NEEDED = ("LOCKSTEP_KAFKA__BOOTSTRAP", "LOCKSTEP_DATABASE__PASSWORD")


@pytest.fixture
def servers() -> None:
    """Skip where there is no broker or no database."""
    missing = [name for name in NEEDED if name not in os.environ]
    if missing:
        pytest.skip(f"needs a real broker and database: set {', '.join(missing)}, as ./run test")


@pytest.fixture
async def installation(servers: None, tmp_path: Path) -> AsyncIterator[Installation]:  # noqa: ARG001
    """An installation with topics and tables and no worker."""
    async with installed(tmp_path) as made:
        yield made
