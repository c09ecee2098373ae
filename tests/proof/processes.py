"""Words of a command enter; what it said leaves, with its time, its work and its largest memory."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.commands.stack import CHECKOUT

LARGEST = "VmHWM:"
KIBIBYTES = 1024
"""In a mebibyte."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a process left.

    Attributes:
        words: The command.
        code: Its exit code.
        out: Its standard output.
        error: Its standard error.
        seconds: How long it took.
        processor: How many seconds of a processor it used.
        peak: Its largest resident memory, MiB.
    """

    words: tuple[str, ...]
    code: int
    out: str
    error: str
    seconds: float
    processor: float
    peak: float

    def __str__(self) -> str:
        return (
            f"`lockstep {' '.join(self.words)}`: exit code {self.code}, {self.seconds:.1f} s, "
            f"{self.processor:.1f} s of a processor, at most {self.peak:.0f} MiB resident"
        )


async def lockstep(environment: Mapping[str, str], *words: str) -> Measured:
    """Run `lockstep` with these words to its end, however long that takes."""
    return await asyncio.to_thread(_run, environment, words)


def _run(environment: Mapping[str, str], words: tuple[str, ...]) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("out", "error", "peak")]
        with files[0].open("wb") as out, files[1].open("wb") as error:
            began = time.monotonic()
            process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "tests.proof.command", *words],
                cwd=CHECKOUT,
                env=dict(environment) | {"PROOF_PEAK": str(files[2])},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=error,
            )
            _, status, used = os.wait4(process.pid, 0)  # this one's work, not all children's
            process.returncode = os.waitstatus_to_exitcode(status)
        return Measured(
            words=words,
            code=process.returncode,
            out=files[0].read_text(),
            error=files[1].read_text(),
            seconds=time.monotonic() - began,
            processor=used.ru_utime + used.ru_stime,
            peak=float(files[2].read_text()),
        )


def peak_of(process: int | str) -> float:
    """Return the largest resident memory of a living process so far, MiB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(LARGEST):
            return int(line.split()[1]) / KIBIBYTES
    return 0.0
