"""Settings enter; a server that listens, and says where, until it is told to stop."""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
from collections.abc import Callable

import uvicorn

from app.config import Settings
from app.dashboard.application import application
from app.errors import BugError, ConfigurationError, LockstepError

GRACE_SECONDS = 2
NICE = 15
"""How far this process stands behind others for a processor where it has a share of its own."""


class Server(uvicorn.Server):
    """A server that lets its streams end before it waits for them.

    Attributes:
        bugs: Not empty when something in the background ended that never should.
    """

    def __init__(
        self, config: uvicorn.Config, ending: Callable[[], None], bugs: list[bool]
    ) -> None:
        super().__init__(config)
        self._ending, self.bugs = ending, bugs

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, then the rest."""
        self._ending()
        await super().shutdown(sockets)


def serve(settings: Settings, tell: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Args:
        settings: Of the installation.
        tell: Is given what a person should know.

    Raises:
        ConfigurationError: It may not listen there without a password.
        LockstepError: It can't listen there.
        BugError: Something in the background ended that never should.
    """
    dashboard = settings.dashboard
    password = dashboard.password.get_secret_value() if dashboard.password else ""
    if not password and not is_loopback(dashboard.host):
        raise ConfigurationError(
            f"dashboard.host was {dashboard.host}, which others can reach: set a password by "
            f"LOCKSTEP_DASHBOARD__PASSWORD or dashboard.password_file, or listen on 127.0.0.1."
        )
    stand_back(spare=dashboard.processor == "spare")
    with _listening(dashboard.host, dashboard.port) as listening:
        place = _place(listening)
        token = secrets.token_urlsafe(24)
        tell(
            f"the dashboard is at {place}/"
            if password
            else f"the dashboard is at {place}/login?token={token}"
        )
        running = server(settings, password or token, linked=not password)
        running.run([listening])
    if running.bugs:
        raise BugError("following the topics failed: its log has more.")


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def server(settings: Settings, secret: str, *, linked: bool) -> Server:
    """Return a server that has yet to run.

    Args:
        settings: Of the installation.
        secret: The password, or the token of the printed link.
        linked: Which of them it is.
    """
    bugs: list[bool] = []

    def failed() -> None:
        bugs.append(True)
        made.should_exit = True

    dashboard = application(settings, secret, linked=linked, failed=failed)
    config = uvicorn.Config(
        dashboard,
        log_config=None,
        access_log=False,  # a link's token stands in an address
        proxy_headers=False,  # who gives a command is told by the connection, not by a header
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws="none",
    )
    made = Server(config, dashboard.state.services.live.pulse.close, bugs)
    return made


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise LockstepError(
            f"the dashboard can't listen on {host}:{port} ({error}): choose another by "
            f"dashboard.host and dashboard.port."
        ) from error
    return listening


def stand_back(*, spare: bool) -> None:
    """Let a worker on the same machine go first."""
    if spare and hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(NICE)  # a process that wakes up often still delays others with it


def _place(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
