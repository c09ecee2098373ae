"""The vendor's CLI at one exact version: built once where Go is present, a reason otherwise."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import IO

from app.config import stack_file

VERSION = "v0.21.2"
MODULE = "github.com/timescale/tiger-cli"
BUILD_SECONDS = 400
"""What a busy machine needs from nothing: a minute of two cores; a run goes on from Go's cache."""
WITH_BUILD = 600
"""Seconds that a test may take which may have to build it first."""


def built() -> tuple[Path | None, str]:
    """Return the program, or none and why there is none."""
    program = stack_file().parent / "tiger-cli" / VERSION / "tiger"
    if program.exists():
        return program, ""
    if shutil.which("go") is None:
        return None, f"needs the tiger CLI {VERSION}, which is built with Go (1.25.5 or newer)"
    program.parent.mkdir(parents=True, exist_ok=True)
    with program.with_suffix(".lock").open("w") as lock:
        waited = _locked(lock)  # tests run in several processes, and one builds
        if program.exists():
            return program, ""
        # Who waited does not try what failed: its test's time would be over.
        return (
            (None, "the process beside this one could not build it") if waited else _built(program)
        )


def _locked(lock: IO[str]) -> bool:
    """Lock a file; return whether another process had to be waited for."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return True
    return False


def _built(program: Path) -> tuple[Path | None, str]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            _build(Path(folder))
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or error
            return None, f"the tiger CLI {VERSION} could not be built: {said}"
        shutil.copy(Path(folder) / "tiger", program.with_suffix(".new"))
        program.with_suffix(".new").rename(program)
    return program, ""


def _build(folder: Path) -> None:
    # A module that requires it, because a proxy may serve a version and not the list of them.
    (folder / "go.mod").write_text(f"module scratch\n\ngo 1.25.5\n\nrequire {MODULE} {VERSION}\n")
    words = ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", "tiger", f"{MODULE}/cmd/tiger"]
    subprocess.run(  # noqa: S603
        words,
        cwd=folder,
        env={**os.environ, "GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"},
        check=True,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
    )
