"""A worker as `faust -A app worker` runs it, but it can be told to die, to raise, to be late."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.faults import clock

if __name__ == "__main__":
    if "CLOCK" in os.environ:  # before anything else takes the time along
        clock.install(Path(os.environ["CLOCK"]))

    from faust.cli.faust import cli

    from tests.faults import plain, points

    if {"CRASH", "ORDERS"} & os.environ.keys():
        points.install(points.Points(os.environ))
    if "PLAIN" in os.environ:
        plain.install(os.environ["PLAIN"])
    sys.argv = ["faust", "-A", "app", "worker"]
    cli()
