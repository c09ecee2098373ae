"""Nothing enters; the errors of a database that leave hope, without the driver that causes them."""

from __future__ import annotations

from app.errors import LockstepError, UnreachableError


class DatabaseUnavailableError(UnreachableError):
    """The database could not be reached, or the connection was lost; the same may work later.

    When it ends a transaction, nothing is known about the outcome: read again, never infer.
    """


class DatabaseBusyError(LockstepError):
    """The server took the work back: a deadlock, a conflict, a time-out, a full disk."""


class DatabaseRefusedError(UnreachableError):
    """The server is there and won't let us in; trying again doesn't help."""


TRANSIENT = (DatabaseUnavailableError, DatabaseBusyError)
