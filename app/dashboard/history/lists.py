"""Whose rows, and of what time, enters; a page of a table's rows, newest first, leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.dashboard.history import paging
from app.dashboard.history.store import View
from app.dashboard.values import LATEST, rows
from app.storage.values import EPOCH, instant


@dataclass(frozen=True, slots=True)
class Listed:
    """A list the API has.

    Attributes:
        topic: Where its records stand.
        query: Asks for a page: its parameters are those of `filters`, the least and the greatest
            time, how many, and the key of the row before.
        key: What tells the rows' order, with the kinds of its columns.
        filters: Which of account, instrument, strategy and others choose rows.
    """

    topic: str
    query: str
    key: Mapping[str, paging.Kind]
    filters: tuple[str, ...] = ("account", "instrument", "strategy")


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows are wanted; times in milliseconds since the epoch UTC, none: any."""

    limit: int = 100
    before: str | None = None
    begin: int | None = None
    end: int | None = None
    chosen: Mapping[str, object] = field(default_factory=dict)


SIGNALS = """
SELECT time, account, instrument, strategy, epoch, view, reason, indicators, price, complete,
    age_ms, identity, origin, topic_partition, topic_offset
FROM (
    SELECT *, lag(view) OVER (PARTITION BY account, instrument, strategy ORDER BY time) AS previous
    FROM signals
    WHERE ($1::text IS NULL OR account = $1) AND ($2::text IS NULL OR instrument = $2)
        AND ($3::text IS NULL OR strategy = $3) AND time >= $5 AND time <= $6
) s
WHERE ($4::bool IS NOT TRUE OR view IS DISTINCT FROM previous)
    AND ($8::timestamptz IS NULL OR (time, account, instrument, strategy) < ($8, $9::text,
        $10::text, $11::text))
ORDER BY time DESC, account DESC, instrument DESC, strategy DESC LIMIT $7
"""
ORDERS = """
SELECT o.*, u.filled, u.cancelled
FROM (
    SELECT time, account, instrument, strategy, order_id, epoch, side, kind, quantity, limit_price,
        stop_price, signal, identity, origin, topic_partition, topic_offset
    FROM orders o
    WHERE ($1::text IS NULL OR account = $1) AND ($2::text IS NULL OR instrument = $2)
        AND ($3::text IS NULL OR strategy = $3) AND time >= $5 AND time <= $6
        AND ($8::timestamptz IS NULL OR (time, order_id) < ($8, $9::text))
        AND ($4::bool IS NOT TRUE OR (
            time >= (SELECT max(p.time) - INTERVAL '1 day' FROM portfolio p
                WHERE p.account = o.account)
            AND NOT EXISTS (SELECT FROM outcomes u WHERE u.order_id = o.order_id)))
    ORDER BY time DESC, order_id DESC LIMIT $7
) o
LEFT JOIN outcomes u ON u.order_id = o.order_id AND u.time > o.time
ORDER BY o.time DESC, o.order_id DESC
"""
FILLS = """
SELECT time, account, instrument, strategy, order_id, part, side, decision_time, trade_id, price,
    quantity, fee, liquidity, order_id || '/' || part AS name, identity, origin, topic_partition,
    topic_offset
FROM fills
WHERE ($1::text IS NULL OR account = $1) AND ($2::text IS NULL OR instrument = $2)
    AND ($3::text IS NULL OR strategy = $3) AND time >= $4 AND time <= $5
    AND ($7::timestamptz IS NULL OR (time, order_id, part) < ($7, $8::text, $9::bigint))
ORDER BY time DESC, order_id DESC, part DESC LIMIT $6
"""
RISK_EVENTS = """
SELECT time, account, kind, epoch, instrument, strategy, limit_name, wanted, allowed, flatten,
    reason, signal, identity, origin, topic_partition, topic_offset
FROM risk_events
WHERE ($1::text IS NULL OR account = $1) AND ($2::text IS NULL OR instrument = $2)
    AND ($3::text IS NULL OR strategy = $3) AND ($4::text[] IS NULL OR kind = ANY($4))
    AND time >= $5 AND time <= $6
    AND ($8::timestamptz IS NULL OR (time, identity) < ($8, $9::text))
ORDER BY time DESC, identity DESC LIMIT $7
"""
GAPS = """
SELECT from_time, to_time, instrument, first_id, last_id, reason, identity, topic_partition,
    topic_offset
FROM gaps
WHERE ($1::text IS NULL OR instrument = $1) AND to_time >= $2 AND from_time <= $3
    AND ($5::timestamptz IS NULL OR (from_time, identity) < ($5, $6::text))
ORDER BY from_time DESC, identity DESC LIMIT $4
"""
REVISIONS = """
SELECT time, instrument, revision, open, high, low, close, volume, trades, identity, origin,
    topic_partition, topic_offset
FROM candles
WHERE ($1::text IS NULL OR instrument = $1) AND revision > 0 AND time >= $2 AND time <= $3
    AND ($5::timestamptz IS NULL OR (time, instrument, revision) < ($5, $6::text, $7::bigint))
ORDER BY time DESC, instrument DESC, revision DESC LIMIT $4
"""
COMMANDS = """
WITH acted AS (
    SELECT instruction ->> 'command' AS identity, min(p.time) AS time
    FROM (SELECT DISTINCT account FROM accounts WHERE $1::text IS NULL OR account = $1) a,
        LATERAL (SELECT max(time) AS time FROM portfolio WHERE account = a.account) newest,
        LATERAL (
            SELECT time, instructions FROM portfolio
            WHERE account = a.account AND time > newest.time - INTERVAL '30 days'
                AND instructions <> '[]') p,
        jsonb_array_elements(p.instructions) instruction
    GROUP BY 1
)
SELECT c.account, c.command_id, c.action, c.given_by, c.reason, c.identity, c.topic_partition,
    c.topic_offset, a.time AS acted_at
FROM commands c LEFT JOIN acted a ON a.identity = c.identity
WHERE ($1::text IS NULL OR c.account = $1) AND $2::timestamptz <= $3::timestamptz
    AND ($5::bigint IS NULL OR (c.topic_offset, c.topic_partition) < ($5, $6::int))
ORDER BY c.topic_offset DESC, c.topic_partition DESC LIMIT $4
"""
TIMED: Mapping[str, paging.Kind] = {"time": datetime, "identity": str}
LISTS = {
    "signals": Listed(
        "signals",
        SIGNALS,
        {"time": datetime, "account": str, "instrument": str, "strategy": str},
        ("account", "instrument", "strategy", "changes"),
    ),
    "orders": Listed(
        "orders",
        ORDERS,
        {"time": datetime, "order_id": str},
        ("account", "instrument", "strategy", "open"),
    ),
    "fills": Listed("fills", FILLS, {"time": datetime, "order_id": str, "part": int}),
    "risk-events": Listed(
        "risk", RISK_EVENTS, TIMED, ("account", "instrument", "strategy", "kind")
    ),
    "gaps": Listed("trades", GAPS, {"from_time": datetime, "identity": str}, ("instrument",)),
    "revisions": Listed(
        "candles",
        REVISIONS,
        {"time": datetime, "instrument": str, "revision": int},
        ("instrument",),
    ),
    "commands": Listed(
        "signals", COMMANDS, {"topic_offset": int, "topic_partition": int}, ("account",)
    ),
}
"""Every list by its name in the API."""


async def listed(view: View, name: str, asked: Page) -> dict[str, Any]:
    """Return a page of a list, as the API gives it."""
    what = LISTS[name]
    begin = EPOCH if asked.begin is None else instant(asked.begin)
    found = await view.fetch(
        what.query,
        *(asked.chosen.get(each) for each in what.filters),
        begin,
        LATEST if asked.end is None else instant(asked.end),
        asked.limit + 1,
        *paging.read(asked.before, what.key),
    )
    shown, after = paging.page(found, asked.limit, what.key)
    return {"cursor": view.cursor, "rows": rows(shown, what.topic), "next": after}
