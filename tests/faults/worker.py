"""A worker as `faust -A app worker` runs it, but with points at which it can be told to die."""

from __future__ import annotations

import os
import sys

from faust.cli.faust import cli

from tests.faults import plain, points

if __name__ == "__main__":
    if {"CRASH", "ORDERS"} & os.environ.keys():
        points.install(points.Points(os.environ))
    if "PLAIN" in os.environ:
        plain.install(os.environ["PLAIN"])
    sys.argv = ["faust", "-A", "app", "worker"]
    cli()
