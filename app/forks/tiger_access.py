"""A service that is ready enters; the settings of a connection that was tried leave."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import hmac
import ssl
from collections.abc import Awaitable, Callable

import structlog

from app.forks.backend import BackendError, BackendUnavailableError
from app.forks.pace import Pace
from app.forks.tiger_command import TigerCommand
from app.forks.tiger_service import Service
from app.storage.database import Database, DatabaseSettings
from app.storage.errors import DatabaseRefusedError, DatabaseUnavailableError

log = structlog.get_logger()

Reach = Callable[[DatabaseSettings], Awaitable[None]]


async def reach(settings: DatabaseSettings) -> None:
    """Ask a database whether it answers us, once; raises its errors."""
    async with Database(dataclasses.replace(settings, pool_min=0, pool_max=1)) as database:
        await database.health()


class Access:
    """Lets us into copies.

    Args:
        command: The CLI.
        secret: What the passwords of our copies are derived from.
        like: How the source's database is reached; a copy differs in address and user only.
        pace: How often is asked.
        knock: Asks a copy's database whether it answers.
    """

    def __init__(
        self,
        command: TigerCommand,
        secret: str,
        like: DatabaseSettings,
        pace: Pace,
        knock: Reach,
    ) -> None:
        self._command = command
        self._secret = secret
        self._like = like
        self._pace = pace
        self._knock = knock
        self._initial: dict[str, str] = {}

    def remember(self, made: Service) -> None:
        """Keep, in memory only, the password a copy was made with."""
        if made.password is not None:
            self._initial[made.copy.handle] = made.password

    async def admit(self, found: Service) -> DatabaseSettings:
        """Return settings that were tried; a password that nobody knows is set anew.

        READY is what the vendor's control says: the database behind it may still refuse to answer.
        """
        handle, settings = found.copy.handle, self._reached_at(found)
        known = handle not in self._initial
        said = ""
        for pause in self._pace.until(self._pace.admit_within):
            try:
                if not known:
                    settings, known = await self._with_password(handle, settings), True
                await self._knock(settings)
            except DatabaseRefusedError as error:
                said, known = str(error), False
            except (DatabaseUnavailableError, BackendUnavailableError) as error:
                said = str(error)
            else:
                return settings
            await asyncio.sleep(pause)
        raise BackendUnavailableError(
            f"the copy {handle} is ready but did not let us in within "
            f"{self._pace.admit_within:g} s: {said}"
        )

    async def _with_password(self, handle: str, settings: DatabaseSettings) -> DatabaseSettings:
        """Set the password that every process of ours knows; else use the one it was made with."""
        password = settings.password
        try:
            await self._command.ask("service", "update-password", handle, password=password)
        except BackendError as error:
            initial = self._initial.get(handle)
            if initial is None:
                raise
            log.warning("password kept", service=handle, reason=str(error))
            return dataclasses.replace(settings, password=initial)
        self._initial.pop(handle, None)
        return settings

    def _reached_at(self, found: Service) -> DatabaseSettings:
        if found.host is None or found.port is None:
            raise BackendUnavailableError(
                f"Tiger Cloud names no address of {found.copy.handle} yet: try again later."
            )
        return dataclasses.replace(
            self._like,
            host=found.host,
            port=found.port,
            name=found.database,
            user=found.user,
            password=self._password(found.copy.name),
            # The vendor's own is `require`: encrypted, and no proof of who answers.
            ssl=self._like.ssl if isinstance(self._like.ssl, ssl.SSLContext) else "require",
        )

    def _password(self, name: str) -> str:
        """Return the password of a copy: any process with the keys knows it, and none keeps it."""
        digest = hmac.digest(self._secret.encode(), f"lockstep {name}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")
