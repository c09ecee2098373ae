"""What a tape misses enters, REST pages leave into it, for as long as it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from app.market.binance.limits import Backoff
from app.market.binance.rest import Rest, RestError
from app.market.dumps import Aggregate
from app.market.tape import Tape
from app.market.timing import TimeSource

log = structlog.get_logger()

RETRY_FIRST, RETRY_MOST = 1.0, 30.0
LATE_FIRST, LATE_MOST = 5.0, 600.0  # trades that are final for decisions already are no hurry


class Backfill:
    """Fetches what a tape misses, and what it has given up, in pages.

    Args:
        rest: Where to ask.
        symbol: The symbol to ask for.
        tape: What to fill.
        filled: Called after every page.
        time: The clock to wait by.
        chance: Numbers from 0 to 1 that spread retries.

    Attributes:
        wake: To be set when the tape may want something.
    """

    def __init__(
        self,
        rest: Rest,
        symbol: str,
        tape: Tape,
        *,
        filled: Callable[[], None],
        time: TimeSource,
        chance: Callable[[], float],
    ) -> None:
        self.wake = asyncio.Event()
        self._rest = rest
        self._symbol = symbol
        self._tape = tape
        self._filled = filled
        self._time = time
        self._retry = Backoff(RETRY_FIRST, RETRY_MOST, chance)
        self._late = Backoff(LATE_FIRST, LATE_MOST, chance)
        self._late_at = 0.0

    async def run(self) -> None:
        """Fetch whenever something is wanted, until cancelled."""
        while True:
            self.wake.clear()
            now = self._time.monotonic()
            from_id, again = self._tape.fetch(now)
            late_id = self._tape.late_fetch()
            if from_id is not None:
                await self._fetch(from_id, now)
            elif late_id is not None and now >= self._late_at:
                await self._fetch_late(late_id)
            else:
                times = [again, self._late_at if late_id is not None else None]
                due = min((time for time in times if time is not None), default=None)
                await self._time.wait(self.wake, None if due is None else due - now)

    async def _fetch(self, from_id: int, asked: float) -> None:
        rows = await self._ask(from_id)
        if rows is not None:
            self._tape.page(rows, from_id, asked, self._time.monotonic())
            self._filled()

    async def _fetch_late(self, from_id: int) -> None:
        rows = await self._ask(from_id)
        if rows is None:
            return
        self._tape.late_page(rows)
        if rows:
            self._late.reset()
        else:
            self._late_at = self._time.monotonic() + self._late.pause()
        self._filled()

    async def _ask(self, from_id: int) -> list[Aggregate] | None:
        if self._rest.budget.blocked:
            self._tape.trouble = "the exchange asked to stop asking"
        try:
            rows = await self._rest.aggregates(self._symbol, from_id=from_id)
        except RestError as error:
            self._tape.trouble = str(error)
            pause = self._retry.pause()
            log.warning("backfill failed", symbol=self._symbol, error=str(error), pause=pause)
            await self._time.sleep(pause)
            return None
        self._tape.trouble = ""
        self._retry.reset()
        return rows
