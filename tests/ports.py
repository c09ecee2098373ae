"""Nothing enters; a port of loopback that is free, and stays so until it is used, leaves."""

from __future__ import annotations

import random
import socket

LOOPBACK = "127.0.0.1"
LENT = range(10_000, 20_000)
"""Below those that systems lend to clients, and those that deploy/local chooses from."""


def free_port() -> int:
    """Return a port that nobody listens on, nor is about to: tests run side by side."""
    while True:
        port = random.SystemRandom().choice(LENT)
        with socket.socket() as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
