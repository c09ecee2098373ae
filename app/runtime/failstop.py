"""Ends the process on an error: raised into Faust, the failed batch would be acknowledged."""

from __future__ import annotations

import logging
import os
import sys
from typing import NoReturn

import structlog

from app.errors import LockstepError

log = structlog.get_logger()

EXIT_BUG = 70


def exit_with(error: BaseException, stage: str) -> NoReturn:
    """Log why, flush, and end at once; exit code 70 unless the error names another."""
    if isinstance(error, LockstepError):
        log.error("stopped", stage=stage, reason=str(error))
    else:
        log.error("stopped", stage=stage, reason=repr(error), exc_info=error)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(getattr(error, "exit_code", EXIT_BUG))
