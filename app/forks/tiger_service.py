"""What the `tiger` CLI prints of a service enters; a copy and its address leave."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from app.forks.backend import BackendUnavailableError, Copy, Phase

PHASES = {
    "READY": Phase.READY,
    "UNSTABLE": Phase.FAILED,
    "DELETING": Phase.DELETING,
    "DELETED": Phase.DELETING,
}
"""Every other status may still become READY."""
USABLE = ("READY", "PAUSED")


@dataclass(frozen=True, slots=True)
class Service:
    """A service of Tiger Cloud.

    Attributes:
        copy: It as a copy; a service that is no fork has no source.
        status: Its status in the vendor's words.
        host: Where it listens; none while that is not known.
        port: The port; none likewise.
        database: Its database.
        user: Who asks.
        password: What it was made with, where it was just made; never shown.
        created: When it was made, as text that sorts.
    """

    copy: Copy
    status: str
    host: str | None
    port: int | None
    database: str
    user: str
    password: str | None = field(repr=False)
    created: str


def service(text: str) -> Service:
    """Return the service that a text describes; raises BackendUnavailableError for any other."""
    return _service(_load(text))


def services(text: str) -> list[Service]:
    """Return the services of a list, the oldest first; an empty project prints nothing at all."""
    found = _load(text) if text.strip() else []
    if not isinstance(found, list):
        raise _unreadable("a list")
    return sorted(map(_service, found), key=lambda item: item.created)


def _service(document: Any) -> Service:
    if not isinstance(document, dict) or not isinstance(document.get("service_id"), str):
        raise _unreadable("a service with its id")
    status = _text(document, "status")
    return Service(
        copy=_copy(document, status),
        status=status,
        host=_text(document, "host") or None,
        port=document["port"] if isinstance(document.get("port"), int) else None,
        database=_text(document, "database") or "tsdb",
        user=_text(document, "role") or "tsdbadmin",
        password=_text(document, "password") or None,
        created=_text(document, "created"),
    )


def _copy(document: dict[str, Any], status: str) -> Copy:
    origin = _inside(document, "forked_from")
    return Copy(
        name=_text(document, "name"),
        handle=document["service_id"],
        source=_text(origin, "service_id") or None,
        # Anything but a plain `false` is taken for a replica, which is never deleted.
        standby=origin.get("is_standby", False) is not False,
        environment=_text(_inside(document, "metadata"), "environment"),
        phase=PHASES.get(status.upper(), Phase.CREATING),
        detail=f"its status is {status or 'not known yet'}",
    )


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


def _inside(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _load(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise _unreadable("JSON") from error


def _unreadable(must: str) -> BackendUnavailableError:
    # Not what was printed: a password may stand in it.
    return BackendUnavailableError(
        f"the tiger CLI printed something that is not {must}: try again, and compare `tiger "
        f"version` with the one docs/forks.md names."
    )
