"""Structured logs: one line an event, to standard error, JSON where nobody reads along."""

from __future__ import annotations

import logging
import sys

import structlog


def configure(level: str) -> None:
    """Log to standard error from here on.

    Args:
        level: The least level that is written: debug, info, warning or error.
    """
    for chatty in ("websockets", "aiokafka", "asyncio"):
        # Their debug lines cost much even where Faust's handler throws them away.
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # The real standard error: Faust puts its own log, with a level of its own, in its place.
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.__stderr__),
    )
