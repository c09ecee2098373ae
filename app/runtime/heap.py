"""A process's heap enters; from then on large blocks go back to the system as they become free."""

from __future__ import annotations

import ctypes

LARGE = 128 * 1024
"""Bytes; what one partition's share of a broker's answer exceeds when there is a backlog."""

_MMAP_THRESHOLD = -3  # of mallopt(3)


def give_back_large() -> bool:
    """Let blocks of `LARGE` bytes or more never come from the heap; return whether that was heard.

    glibc begins like that, but takes a large block that is freed as a sign that more will come, and
    keeps them all. Between them small ones stay, and what was freed can't be given back. Other C
    libraries have no such limit.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_MMAP_THRESHOLD, LARGE))
