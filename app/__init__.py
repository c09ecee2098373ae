"""Lockstep: trades enter a log, and everything that follows is a pure function of it.

`faust -A app` finds its app here. It is made when it is asked for and not before, so that
importing `app.core` loads no Faust.
"""

from __future__ import annotations

import sys
from typing import Any


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from app.errors import LockstepError  # noqa: PLC0415 - see above

    try:
        from app.worker import app  # noqa: PLC0415 - see above
    except LockstepError as error:
        # `faust -A app` would print a traceback of its own loader.
        sys.stderr.write(f"Error: {error}\n")
        raise SystemExit(error.exit_code) from error
    return app
