"""A copy that is to be deleted enters; why it must not be leaves, or nothing."""

from __future__ import annotations

from app.forks.backend import DEVELOPMENT, Copy


def refusal(copy: Copy, *, name: str, handle: str, source: str, prefix: str) -> str:
    """Return what keeps a copy from being deleted, as the end of a sentence; empty: nothing.

    Each of these alone would be enough for the copies we make; all of them must hold, because what
    a service is deleted by is an id, and a wrong one may be the database the real run lives in.

    Args:
        copy: What the back end says stands there now.
        name: The fork's id in our records.
        handle: What our records call the copy.
        source: What our forks are copies of.
        prefix: What the names of our forks begin with.
    """
    faults = (
        (copy.handle != handle, f"its id is {copy.handle}, our records say {handle}"),
        (copy.handle == source, "it is the very database that forks are made from"),
        (copy.name != name, f"its name is {copy.name!r}, our records say {name!r}"),
        (
            not (prefix and copy.name.startswith(prefix)),
            f"its name {copy.name!r} does not begin with {prefix!r}",
        ),
        (copy.source is None, "it is no fork"),
        (copy.source != source, f"it is a fork of {copy.source}, ours are of {source}"),
        (copy.standby, "it is a replica that follows its source"),
        (copy.environment != DEVELOPMENT, f"its environment is {copy.environment!r}"),
    )
    return next((reason for fault, reason in faults if fault), "")
