"""Trades enter at the market's own pace; how long each bar takes to become orders leaves."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.config import Settings
from bench.installation import DECIDING, SINK, WARM, Appended, Beside, Installation, nothing
from bench.market import START, Market, Packed
from bench.report import Goal

ORDERED = "bar close to order:"
GOALS = (Goal(f"{ORDERED} p50", 25, limit=True), Goal(f"{ORDERED} p99", 100, limit=True))
HOPS = ("candles", "signals", "booked", "portfolio", "allocations", "orders")

Moments = dict[tuple[str, int], int]
"""When, in milliseconds of the broker, by instrument or account and decision time."""


@dataclass(slots=True)
class Latencies:
    """Milliseconds, of every decision time that was measured.

    Attributes:
        orders: From the append of what closed an account's last bar to each orders record.
        hops: Of each stage, from its last input to its last output.
        behind: How late the trades themselves were appended, at worst.
        busy: Processors that the worker used, on average, while the market went on.
    """

    orders: list[float] = field(default_factory=list)
    hops: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    behind: float = 0.0
    busy: float = 0.0


async def measure(
    settings: Settings, market: Market, records: Sequence[Packed], beside: Beside = nothing
) -> Latencies:
    """Append every record when it is due, and read from the broker's own times what came of it."""
    async with Installation(settings, (*DECIDING, SINK)) as installation, beside(installation):
        rest = await installation.wake(market, records)
        found = Latencies()
        before, begun = installation.processor_seconds(), time.perf_counter()
        closed = await _play(installation, rest, found)
        used = installation.processor_seconds() - before
        found.busy = used / (time.perf_counter() - begun)
        await installation.decided(len(market.accounts()), market.last)
        await installation.ordered(market.instruments, market.last)
        read = {name: await installation.read(name) for name in _TOPICS}
    _evaluate(market, closed, read, found)
    return found


_TOPICS = ("candles", "signals", "fills", "portfolio", "allocations", "orders")


async def _play(installation: Installation, records: Sequence[Packed], found: Latencies) -> Moments:
    """Append at the market's pace; return when each instrument's bar was closed."""
    begun = time.perf_counter() - (records[0].due - START) / 1000 + 0.1
    closing: list[tuple[Packed, asyncio.Future[Any]]] = []
    for packed in records:
        due = begun + (packed.due - START) / 1000
        early = due - time.perf_counter()
        if early > 0:
            await asyncio.sleep(early)
        found.behind = max(found.behind, -1000 * early)
        appended = await installation.append(packed)
        if packed.closes is not None:
            closing.append((packed, appended))
    return {(packed.instrument, packed.closes or 0): (await at).timestamp for packed, at in closing}


def _evaluate(
    market: Market, closed: Moments, read: Mapping[str, list[Appended]], found: Latencies
) -> None:
    by = {name: _moments(read[name], _owner, name) for name in _TOPICS if name != "fills"}
    by["booked"] = _moments(read["fills"], _instrument, "booked")
    for account in market.accounts():
        for number in range(1 + WARM, market.intervals + 1):
            at = market.after(number)
            ends = {
                "close": _last(closed, account.instruments, at),
                "candles": _last(by["candles"], account.instruments, at),
                "ordered": by["orders"][account.name, at - market.interval],
                "booked": _last(by["booked"], account.instruments, at),
                **{name: by[name][account.name, at] for name in ("signals", *HOPS[3:])},
            }
            _add(found, ends)
    _add_orders(market, closed, read["orders"], found)


def _add(found: Latencies, ends: Mapping[str, int]) -> None:
    starts = {
        "candles": ends["close"],
        "signals": ends["candles"],
        "booked": max(ends["close"], ends["ordered"]),
        "portfolio": max(ends["signals"], ends["booked"]),
        "allocations": ends["portfolio"],
        "orders": ends["allocations"],
    }
    for hop in HOPS:
        found.hops[hop].append(ends[hop] - starts[hop])


def _add_orders(
    market: Market, closed: Moments, orders: Iterable[Appended], found: Latencies
) -> None:
    instruments = {account.name: account.instruments for account in market.accounts()}
    for appended in orders:
        record: Any = appended.message.record
        if record.TYPE == "orders" and record.time > market.after(WARM):
            close = _last(closed, instruments[record.account], record.time)
            found.orders.append(appended.time - close)


def _moments(read: Iterable[Appended], key: Callable[[Any], str], kind: str) -> Moments:
    """Return when the last record of each key and decision time was appended."""
    moments: Moments = {}
    for appended in read:
        record: Any = appended.message.record
        if record.TYPE in _KINDS[kind] and getattr(record, "revision", 0) == 0:
            place = key(record), record.time
            moments[place] = max(appended.time, moments.get(place, 0))
    return moments


_KINDS = {
    "candles": ("candle",),
    "signals": ("signal",),
    "booked": ("booked",),
    "portfolio": ("portfolio",),
    "allocations": ("allocated",),
    "orders": ("orders",),
}


def _owner(record: Any) -> str:
    return str(getattr(record, "account", None) or record.instrument)


def _instrument(record: Any) -> str:
    return str(record.instrument)


def _last(moments: Moments, names: Iterable[str], at: int) -> int:
    return max(moments[name, at] for name in names)
