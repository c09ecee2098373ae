"""The real tiger CLI against a fake of its API, and a ledger in a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.forks.tiger import TigerBackend
from tests.forks.tiger_api import TigerApi
from tests.forks.tiger_binary import built
from tests.forks.tigers import tiger_backend


@pytest.fixture(scope="session")
def tiger() -> Path:
    """The program; where it can't be built, whoever needs it is skipped with the reason."""
    program, reason = built()
    if program is None:
        pytest.skip(reason)
    return program


@pytest.fixture
async def api(tiger: Path) -> AsyncIterator[TigerApi]:  # noqa: ARG001 - skips first
    async with TigerApi().serving() as served:
        yield served


@pytest.fixture
async def backend(api: TigerApi, tiger: Path) -> AsyncIterator[TigerBackend]:
    made = tiger_backend(api, tiger)
    yield made
    await made.close()
