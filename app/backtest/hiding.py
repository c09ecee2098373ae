"""Files and stand-ins enter; from then on this process opens the stand-ins instead.

It is the names that are caught (`open`, `os.open`), which is how Python code reads files, numpy and
pandas included; a library that opens files by itself (pyarrow) is not.
"""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def hide(hidden: Mapping[Path, Path]) -> None:
    """Let whoever opens a file for reading get its stand-in, under whatever name they know it."""
    if not hidden:
        return
    known = {_identity(path): str(other) for path, other in hidden.items()}

    def catching(opener: Callable[..., Any]) -> Callable[..., Any]:
        def open_(file: Any, *arguments: Any, **named: Any) -> Any:
            return opener(known.get(_identity(file), file), *arguments, **named)

        return open_

    builtins.open = io.open = catching(io.open)
    os.open = catching(os.open)


def _identity(file: Any) -> tuple[int, int] | None:
    """Return what a name stands for, whichever name it is; none where there is no such file."""
    if isinstance(file, int):
        return None
    try:
        found = Path(os.fsdecode(file)).stat()
    except (OSError, TypeError, ValueError):
        return None
    return found.st_dev, found.st_ino
