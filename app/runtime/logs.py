"""Structured logs: one line an event, to standard error, JSON where nobody reads along."""

from __future__ import annotations

import logging
import sys
import time

import structlog


class Seldom(logging.Filter):
    """Lets the Kafka client say the same thing once in a while, not hundreds of times a second."""

    def __init__(self, seconds: float = 10.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is to be written."""
        if not record.name.startswith("aiokafka"):
            return True
        key = (record.name, str(record.msg))
        due = time.monotonic() - self._said.get(key, -self._seconds) >= self._seconds
        if due:
            self._said[key] = time.monotonic()
        return due


def configure(level: str) -> None:
    """Log to standard error from here on.

    Args:
        level: The least level that is written: debug, info, warning or error.
    """
    for chatty in ("websockets", "aiokafka", "asyncio"):
        # Their debug lines cost much even where Faust's handler throws them away.
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(Seldom())
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
