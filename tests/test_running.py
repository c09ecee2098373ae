"""A command is ended by signals: what runs beside it is closed, and alone it ends at once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.running import SIGNALS, run

ROOT = Path(__file__).parent.parent
WORDS = """
import asyncio, signal, sys
from app.running import run

def terminate(number, frame):
    raise SystemExit(143)

signal.signal(signal.SIGTERM, terminate)

async def beside(number):
    while True:
        await asyncio.sleep(0)

async def accompanied():
    tasks = [asyncio.create_task(beside(number)) for number in range(3)]
    try:
        print("begun", flush=True)
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.01)
        print("closed beside", sum(not task.done() for task in tasks), flush=True)

async def alone():
    try:
        print("begun", flush=True)
        while True:
            pass
    finally:
        await asyncio.sleep(0.01)
        print("closed alone", flush=True)

run(globals()[sys.argv[1]]())
"""


def ended(kind: str, number: int) -> tuple[int, str, str]:
    """Run one of the coroutines above and end it by a signal."""
    with subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, "-c", WORDS, kind],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        out, error = process.communicate(timeout=60)
    return process.returncode, out, error


@pytest.mark.parametrize(("kind", "said"), [("accompanied", "beside 3"), ("alone", "alone")])
def test_a_signal_ends_it_and_it_closes_what_it_holds(kind: str, said: str) -> None:
    assert ended(kind, signal.SIGTERM) == (143, f"closed {said}\n", "")
    code, out, error = ended(kind, signal.SIGINT)
    assert (code, out) == (-signal.SIGINT, f"closed {said}\n")
    assert "KeyboardInterrupt" in error
    assert "Exception ignored" not in error


def test_without_a_signal_it_returns_and_leaves_the_handlers_alone() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]

    async def count() -> int:
        await asyncio.sleep(0)
        return 3

    async def cancelled() -> None:
        raise asyncio.CancelledError

    assert run(count()) == 3
    with pytest.raises(asyncio.CancelledError):
        run(cancelled())
    assert [signal.getsignal(number) for number in SIGNALS] == before
