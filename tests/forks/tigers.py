"""A fake API enters; the back end that asks it through the real CLI leaves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from app.forks.pace import Pace
from app.forks.tiger import TigerBackend
from app.forks.tiger_access import Reach
from app.forks.tiger_command import Answer, Keys, TigerCommand
from app.storage.database import DatabaseSettings
from app.storage.errors import DatabaseRefusedError, DatabaseUnavailableError
from tests.forks.tiger_api import PUBLIC, SECRET, SOURCE, TigerApi

LIKE = DatabaseSettings("127.0.0.1", 1, "lockstep", "lockstep", "pw", schema="demo")
PATIENT = 120.0
"""Seconds that only a hang takes."""
BRISK = Pace(0.02, 0.1, settle=PATIENT, gone_within=PATIENT, admit_within=PATIENT)
"""Asks often, and is patient where a busy machine needs it."""


class Ending(TigerCommand):
    """The program, one call of which takes too long: it is ended once something has happened."""

    _word, _event, _ends = "", asyncio.Event(), False

    def end(self, word: str, event: asyncio.Event) -> None:
        """End the next call with a word in it at an event."""
        self._word, self._event = word, event

    async def call(self, *words: str, **options: Any) -> Answer:
        if self._word in words:
            self._word, self._ends = "", True
        return await super().call(*words, **options)

    async def _communicate(self, process: asyncio.subprocess.Process) -> tuple[bytes, bytes]:
        if not self._ends:
            return await super()._communicate(process)
        await self._event.wait()
        self._seconds, self._ends = 0.0, False
        try:
            return await super()._communicate(process)
        finally:
            self._seconds = PATIENT


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


def keys(api: TigerApi, secret: str = SECRET) -> Keys:
    return Keys(PUBLIC, secret, api.url)


def tiger_backend(
    api: TigerApi,
    program: Path | TigerCommand,
    *,
    secret: str = SECRET,
    source: str = SOURCE,
    closed: int = 0,
    **options: Any,
) -> TigerBackend:
    ours = keys(api, secret)
    command = TigerCommand(str(program), ours, PATIENT) if isinstance(program, Path) else program
    options = {"pace": BRISK, "knock": knocking(api, closed)} | options
    return TigerBackend(command, ours, source, LIKE, **options)
