"""What can be wrong with a user's strategy: an exception enters, file and line of theirs leave."""

from __future__ import annotations

import traceback
from pathlib import Path

from app.errors import BugError, LockstepError


class StrategyError(LockstepError):
    """A strategy from outside can't be loaded; the sentence names its file, and the line if any."""


class StrategyFailedError(BugError):
    """A strategy from outside failed on a bar: the worker must not go on."""


def place_of(error: BaseException, file: str) -> str:
    """Return where in a user's file an exception came from: the innermost line of it."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{error.filename}, line {error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).parent == Path(file).parent
    ]
    if not frames:
        return file
    code = f" ({frames[-1].line})" if frames[-1].line else ""
    return f"{frames[-1].filename}, line {frames[-1].lineno}{code}"


def what_of(error: BaseException) -> str:
    """Return an exception in a few words."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}{f': {text}' if text else ''}"[:500]
