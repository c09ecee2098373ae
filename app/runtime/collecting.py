"""What a worker has loaded enters; Python's garbage collector leaves it alone from then on."""

from __future__ import annotations

import gc

YOUNG = 10_000
"""Containers made and not let go after which the young ones are looked through; Python's own 700
lets a record of one trade pay for a look at many."""


def settle() -> None:
    """Let the collector pass over everything there is: modules, classes, configuration.

    A full collection looks at every container, 130,000 of which a worker has loaded before its
    first record: it stood still for up to 150 ms, whatever it was doing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
