"""A notice enters; a webhook or Telegram has it when this returns, or a sentence says why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import aiohttp

from app.config_sections import Alerts
from app.dashboard.alerts.notices import Notice
from app.errors import UnreachableError

PATIENCE = 10.0
GOOD = 300
WAIT = 429


class RefusedError(UnreachableError):
    """A receiver answered, and not with success.

    Attributes:
        wait: Seconds that it asked to wait before the next try; 0 where it did not.
    """

    def __init__(self, sentence: str, wait: float) -> None:
        super().__init__(sentence)
        self.wait = wait


class Receiver(Protocol):
    """Somebody who is told.

    Attributes:
        name: What logs and sentences call it; no address, for that may hold a secret.
    """

    name: str

    async def tell(self, session: aiohttp.ClientSession, notice: Notice, run: str) -> None:
        """Deliver a notice; raises UnreachableError."""


class Webhook:
    """Any HTTP service that takes JSON; `text` is what chat services show."""

    name = "webhook"

    def __init__(self, address: str) -> None:
        self._address = address

    async def tell(self, session: aiohttp.ClientSession, notice: Notice, run: str) -> None:
        """Deliver a notice; raises UnreachableError."""
        document = {
            "text": text(notice, run),
            "run": run,
            "kind": notice.kind,
            "subject": notice.subject,
            "over": notice.over,
        }
        await _post(session, self.name, self._address, document)


class Telegram:
    """A chat of a Telegram bot."""

    name = "Telegram"

    def __init__(self, api: str, token: str, chat: str) -> None:
        self._address = f"{api.rstrip('/')}/bot{token}/sendMessage"
        self._chat = chat

    async def tell(self, session: aiohttp.ClientSession, notice: Notice, run: str) -> None:
        """Deliver a notice; raises UnreachableError."""
        document = {"chat_id": self._chat, "text": text(notice, run)}
        await _post(session, self.name, self._address, document)


def receivers(alerts: Alerts) -> list[Receiver]:
    """Return everybody that the settings name."""
    found: list[Receiver] = []
    if alerts.webhook:
        found.append(Webhook(alerts.webhook.get_secret_value()))
    if alerts.telegram_token and alerts.telegram_chat:
        token = alerts.telegram_token.get_secret_value()
        found.append(Telegram(alerts.telegram_api, token, alerts.telegram_chat))
    return found


def text(notice: Notice, run: str) -> str:
    """Return what a person reads."""
    return f"{'✓' if notice.over else '⚠'} Lockstep {run}: {notice.says}"


async def _post(
    session: aiohttp.ClientSession, name: str, address: str, document: Mapping[str, Any]
) -> None:
    limit = aiohttp.ClientTimeout(total=PATIENCE)
    try:
        async with session.post(
            address, json=document, timeout=limit, allow_redirects=False
        ) as answer:
            if answer.status >= GOOD:
                wait = answer.headers.get("Retry-After", "0") if answer.status == WAIT else "0"
                sentence = f"the {name} answered {answer.status}: see the section alerts."
                raise RefusedError(sentence, float(wait) if wait.isdigit() else 0.0)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        # No text of the error: it may hold the address, which may hold a secret.
        raise UnreachableError(
            f"the {name} could not be told ({type(error).__name__}): see the section alerts."
        ) from None
