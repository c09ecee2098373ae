"""A fake API enters; the back end that asks it through the real CLI leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from app.forks.pace import Pace
from app.forks.tiger import TigerBackend
from app.forks.tiger_access import Reach
from app.forks.tiger_command import Keys, TigerCommand
from app.storage.database import DatabaseSettings
from app.storage.errors import DatabaseRefusedError, DatabaseUnavailableError
from tests.forks.tiger_api import PUBLIC, SECRET, SOURCE, TigerApi

LIKE = DatabaseSettings("127.0.0.1", 1, "lockstep", "lockstep", "pw", schema="demo")
BRISK = Pace(first=0.02, longest=0.1, settle=10.0, gone_within=60.0, admit_within=30.0)
"""Asks often, and is patient where a busy machine needs it."""


def knocking(api: TigerApi, closed: int = 0) -> Reach:
    """Return what a copy's database says, which the fake API knows: closed a few times at first."""
    left = [closed]

    async def knock(settings: DatabaseSettings) -> None:
        if left[0]:
            left[0] -= 1
            raise DatabaseUnavailableError("The database refused the connection.")
        if api.passwords.get(settings.host.split(".")[0]) != settings.password:
            raise DatabaseRefusedError("The database refused the password.")

    return knock


def tiger_backend(
    api: TigerApi,
    program: Path | str,
    *,
    secret: str = SECRET,
    source: str = SOURCE,
    closed: int = 0,
    seconds: float = 30.0,
    **options: Any,
) -> TigerBackend:
    keys = Keys(PUBLIC, secret, api.url)
    command = TigerCommand(str(program), keys, seconds)
    options = {"pace": BRISK, "knock": knocking(api, closed)} | options
    return TigerBackend(command, keys, source, LIKE, **options)
