"""What a database says can go wrong enters as asyncpg's errors; one of ours leaves, or nothing."""

from __future__ import annotations

import socket
import ssl

import asyncpg

from app.errors import LockstepError
from app.storage.errors import (
    DatabaseBusyError,
    DatabaseRefusedError,
    DatabaseUnavailableError,
)

# The server is there or will be again: the same work may succeed later. Codes by PostgreSQL's
# manual, appendix A.
PASSING = {
    "57P01": "was shut down",
    "57P02": "crashed and is restarting",
    "57P03": "is starting or stopping",
    "53300": "has no connection left",
}
BUSY = {
    "40001": "could not serialise the transaction with another",
    "40P01": "ended a deadlock with another transaction",
    "53100": "has no disk space left",
    "53200": "has no memory left",
    "55P03": "could not have a lock in time",
    "57014": "did not finish a statement in time",
}
REFUSED = {
    "28P01": "refused the password of user {user}: correct LOCKSTEP_DATABASE__PASSWORD",
    "28000": "let user {user} not in: correct database.user, or pg_hba.conf on the server",
    "3D000": "has no database {name}: create it with `createdb {name}`, or correct database.name",
    "42501": "lets user {user} not do this: grant it, or use the schema's owner",
}


LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    # asyncpg says so to whoever uses a connection that has just gone,
    asyncpg.InterfaceError,
    # or one whose server has said goodbye and not yet hung up.
    asyncpg.InternalClientError,
)
"""Of a closed connection: what says no more than that."""


def translate(
    error: BaseException, place: str, user: str, name: str, *, closed: bool
) -> LockstepError | None:
    """Return our error for one of the driver's; None for what is the caller's own mistake.

    Args:
        error: What was raised.
        place: The server, as host:port.
        user: Who asked.
        name: The database.
        closed: Whether the connection is closed, which makes any error of the client's a loss.
    """
    code = getattr(error, "sqlstate", None) or ""
    if refusal := _encryption(error, code):
        return DatabaseRefusedError(f"The database at {place} {refusal}.")
    if code in REFUSED:
        advice = REFUSED[code].format(user=user, name=name)
        return DatabaseRefusedError(f"The database at {place} {advice}.")
    if code in BUSY:
        return DatabaseBusyError(f"The database at {place} {BUSY[code]} ({error}).")
    reason = PASSING.get(code) or _lost(error, closed=closed)
    return DatabaseUnavailableError(f"The database at {place} {reason}.") if reason else None


def _encryption(error: BaseException, code: str) -> str:
    """Return what was wrong with who the server is, or with encryption itself."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"showed a certificate that can't be trusted ({error.verify_message}): correct "
            f"database.host, or database.sslrootcert to name the authority that signed it"
        )
    if code == "28000" and "no encryption" in str(error):
        return "takes encrypted connections only: set database.sslmode to verify-full"
    # asyncpg has no class of its own for a server that answers that it has no TLS.
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):
        return "does not encrypt: turn ssl on there, or correct database.sslmode"
    return ""


def _lost(error: BaseException, *, closed: bool) -> str:
    if isinstance(error, TimeoutError):
        return "did not answer in time"
    if not closed:
        return ""
    if isinstance(error, socket.gaierror):
        return "can't be found: no host has that name, so correct database.host"
    if isinstance(error, ConnectionRefusedError):
        return (
            "does not answer (connection refused): start it with `lockstep up`, or correct "
            "database.host and database.port"
        )
    return f"was lost ({error})" if isinstance(error, LOST) else ""
