"""A backlog of trades enters a running worker; how many of them a second it decides on leaves."""

from __future__ import annotations

import time
from collections.abc import Sequence

from app.config import Settings
from bench.installation import DECIDING, SINK, Beside, Installation, nothing
from bench.market import Market, Packed, trades_of


async def measure(
    settings: Settings,
    market: Market,
    records: Sequence[Packed],
    *,
    sink: bool,
    beside: Beside = nothing,
) -> dict[str, float]:
    """Return trades a second until all is decided, and with the sink until all is stored.

    The clock starts when the first decisions are made and the rest of the trades is appended,
    and stops when the last decision time's portfolio of every account stands in the log.
    """
    stages = (*DECIDING, SINK) if sink else DECIDING
    accounts = len(market.accounts())
    async with Installation(settings, stages) as installation, beside(installation):
        rest = await installation.wake(market, records)
        before, begun = installation.processor_seconds(), time.perf_counter()
        await installation.append_all(rest)
        await installation.decided(accounts, market.last)
        found = {"decided": trades_of(rest) / (time.perf_counter() - begun)}
        if sink:
            await installation.stored()
            found["stored"] = trades_of(rest) / (time.perf_counter() - begun)
        found["cost"] = 1e6 * (installation.processor_seconds() - before) / trades_of(rest)
    return found
