"""A session that waits for a lock enters; a session of ours that never lets it go is ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import structlog

from app.errors import LockstepError
from app.storage.database import Database

log = structlog.get_logger()

LOOK_SECONDS = 0.5
MARGIN_SECONDS = 1.0
ANSWER_SECONDS = 5.0

# The server ends any statement of ours after statement_timeout, but not a COPY whose client is
# silent, where that timeout does not count: one that lasts longer and waits for its client is
# that of a frozen process. Whoever only waits for a lock, or works, is left alone. Materialized:
# the planner may put conditions in any order, so the end of a session must not stand beside them.
END = """
WITH forgotten AS MATERIALIZED (
    SELECT pid, client_addr, extract(epoch FROM clock_timestamp() - query_start)::int AS seconds
    FROM pg_stat_activity
    WHERE pid = ANY(pg_blocking_pids($1))
      AND (datname, usename, application_name)
          = (current_database(), session_user, current_setting('application_name'))
      AND state = 'active' AND wait_event = 'ClientRead'
      AND query_start < clock_timestamp() - $2::interval
)
SELECT pid, client_addr, seconds FROM forgotten WHERE pg_terminate_backend(pid)
"""


@asynccontextmanager
async def outlasted(database: Database, waiting: asyncpg.Connection) -> AsyncIterator[None]:
    """End whoever of ours keeps a connection waiting for a lock from inside a forgotten COPY.

    The transaction that is ended is rolled back by the server; its process, once it wakes, meets
    a lost connection, and compares offsets under their lock before it stores anything again.

    Args:
        database: Where to look from; one more of its connections is used.
        waiting: The connection on which a lock is asked for meanwhile.
    """
    over = asyncio.Event()
    watching = asyncio.create_task(_watch(database, waiting.get_server_pid(), over))
    try:
        yield
    finally:
        over.set()
        # The lock may come before the answer of the look that freed it, which is still to be told.
        await asyncio.wait([watching], timeout=ANSWER_SECONDS)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _watch(database: Database, pid: int, over: asyncio.Event) -> None:
    longest = timedelta(seconds=database.settings.statement_timeout + MARGIN_SECONDS)
    while not await _passed(over, LOOK_SECONDS):
        try:
            # A connection, not a read: what has an effect is not to be tried again.
            async with database.connection(retry_for=0) as connection:
                ended = await connection.fetch(END, pid, longest)
        except (LockstepError, asyncpg.PostgresError) as error:
            log.warning("holder not found", stage="sink", reason=str(error))
            continue
        for session in ended:
            log.warning(
                "holder ended",
                stage="sink",
                reason=f"session {session['pid']} from {session['client_addr']} held the locks "
                f"that the sink needs, in a COPY that had lasted {session['seconds']} s: its "
                f"worker is frozen or cut off, and will find its transaction rolled back",
            )


async def _passed(event: asyncio.Event, seconds: float) -> bool:
    """Return whether an event came within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
