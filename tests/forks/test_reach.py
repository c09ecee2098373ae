"""Whether a copy's database lets us in is asked of a real server, as READY alone does not say."""

from __future__ import annotations

import dataclasses
import socket

import pytest

from app.forks.tiger_access import reach
from app.storage.database import DatabaseSettings
from app.storage.errors import DatabaseRefusedError, DatabaseUnavailableError
from tests.storage.conftest import settings

__all__ = ["settings"]


async def test_who_is_let_in_hears_nothing(settings: DatabaseSettings) -> None:
    await reach(settings)


async def test_a_wrong_password_is_told_from_a_server_that_is_not_there(
    settings: DatabaseSettings,
) -> None:
    with pytest.raises(DatabaseRefusedError, match="refused the password"):
        await reach(dataclasses.replace(settings, password="wrong"))  # noqa: S106
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(DatabaseUnavailableError, match="connection refused"):
            await reach(dataclasses.replace(settings, host="127.0.0.1", port=port))
