"""The `tiger` CLI enters; whether it is one that we can use leaves, as nothing or a sentence."""

from __future__ import annotations

import structlog

from app.forks.backend import BackendRefusedError
from app.forks.tiger_command import TigerCommand

log = structlog.get_logger()

TRIED = "0.21."
OWN_BUILD = "dev"
NEEDED = {
    "fork": (
        "--now --last-snapshot --to-timestamp --name --no-set-default --no-wait --with-password "
        "--environment --output"
    ),
    "get": "--output",
    "list": "--output",
    "delete": "--confirm",
    "update-password": "TIGER_NEW_PASSWORD",
}
"""What must stand in the help of each `tiger service` command that is used."""


async def check_program(command: TigerCommand) -> None:
    """Ask the CLI for its version and its help, without keys, so without the network.

    Raises:
        BackendRefusedError: It is not there, or lacks what is used.
    """
    version = (await command.call("version", "-o", "bare", anonymous=True)).output.strip()
    for name, words in NEEDED.items():
        text = (await command.call("service", name, "--help", anonymous=True)).output
        lacking = [word for word in words.split() if word not in text]
        # An unknown command prints another's help and exits with 0.
        if lacking or f"service {name} " not in text:
            raise BackendRefusedError(
                f"the tiger CLI {version or 'of unknown version'} lacks `service {name}` with "
                f"{' '.join(lacking) or 'its flags'}: install v{TRIED}2."
            )
    if version != OWN_BUILD and not version.removeprefix("v").startswith(TRIED):
        log.warning("tiger CLI not tried", version=version, tried=f"{TRIED}2")
