"""Instruments enter; what their first question would have to read is read before it is asked."""

from __future__ import annotations

from collections.abc import Iterable

from app.dashboard.errors import AnswerError
from app.dashboard.history.bars import HOUR
from app.dashboard.history.candles import STORED, Asked, candles
from app.dashboard.history.hours import Hours
from app.dashboard.history.store import Store


async def warm(store: Store, instruments: Iterable[str], hours: Hours) -> None:
    """Read the hours of one instrument after the other, where the tables don't keep any.

    Who asks meanwhile waits no longer than without it: an instrument is read once.

    Args:
        store: The tables.
        instruments: What will be asked for.
        hours: Keeps what is read.
    """
    for name in dict.fromkeys(instruments):
        newest = Asked(name, begin=None, end=None, points=1, interval=HOUR)
        try:
            async with store.view() as view:
                if await view.fetchval(STORED):
                    return
                await candles(view, newest, hours)
        except AnswerError:
            continue  # no candles yet, or no database: whoever asks first reads them
