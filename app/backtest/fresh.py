"""A function enters, by name; it is run in a new process, and what it returns leaves.

Nothing of an earlier run is left in a new process, and files can be hidden from it before it loads
any strategy: this module therefore loads none itself.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import pickle
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from app.backtest.hiding import hide
from app.errors import LockstepError

HASH_SEED = "PYTHONHASHSEED"


@dataclass(frozen=True, slots=True)
class Call:
    """What is to be run.

    Attributes:
        module: Where the function is.
        name: Its name.
        arguments: What it takes; pickled on the way.
        seed: Decides the order of sets in the new process.
        hidden: Files, and what whoever opens them there reads instead.
    """

    module: str
    name: str
    arguments: tuple[Any, ...]
    seed: int = 1
    hidden: Mapping[Path, Path] = field(default_factory=dict)


class FailedError(Exception):
    """The function raised something that is no sentence; the text is its traceback."""


def run(call: Call) -> Any:
    """Return what the function returned.

    Raises:
        LockstepError: The function raised one; with the same sentence and exit code.
        FailedError: It raised anything else, or the process died.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    # Pickled here, because whatever the new process unpickles by itself loads modules too early.
    packed = pickle.dumps(call.arguments)
    process = context.Process(
        target=_work, args=(theirs, dict(call.hidden), call.module, call.name, packed), daemon=True
    )
    _start(process, call.seed)
    theirs.close()
    try:
        kind, value = _received(ours)
    finally:
        process.kill()
        process.join()
        ours.close()
    if kind == "refused":
        sentence, code = value
        error = LockstepError(sentence)
        error.exit_code = code
        raise error
    if kind == "failed":
        raise FailedError(value)
    return value


def _start(process: Any, seed: int) -> None:
    before = os.environ.get(HASH_SEED)
    os.environ[HASH_SEED] = str(seed)
    try:
        process.start()
    finally:
        del os.environ[HASH_SEED]
        if before is not None:
            os.environ[HASH_SEED] = before


def _received(connection: Connection[Any, Any]) -> tuple[str, Any]:
    try:
        kind, value = connection.recv()
    except EOFError:
        return "failed", "the process died without a word"
    return kind, value


def _work(
    connection: Connection[Any, Any],
    hidden: Mapping[Path, Path],
    module: str,
    name: str,
    packed: bytes,
) -> None:
    """Be the new process."""
    try:
        hide(hidden)
        function = getattr(importlib.import_module(module), name)
        connection.send(("done", function(*pickle.loads(packed))))  # noqa: S301 - our own
    except KeyboardInterrupt:
        return
    except LockstepError as error:
        connection.send(("refused", (str(error), error.exit_code)))
    except Exception:  # noqa: BLE001 - handed to the process that waits
        connection.send(("failed", traceback.format_exc()))
