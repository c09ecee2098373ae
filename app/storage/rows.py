"""A record as it was read enters, the rows it is in the tables leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.core.events import Inbound
from app.storage import control_rows, decision_rows, market_rows, order_rows
from app.storage.values import Rows

MAKERS: dict[str, Callable[[Any, Inbound], Rows]] = {
    "trades": market_rows.trades,
    "clock": market_rows.clock,
    "gap": market_rows.gap,
    "history": market_rows.history,
    "epoch": market_rows.epoch,
    "join": market_rows.join,
    "leave": market_rows.leave,
    "candle": market_rows.candle,
    "signal": decision_rows.signal,
    "command": decision_rows.command,
    "portfolio": decision_rows.portfolio,
    "allocated": decision_rows.allocated,
    "orders": order_rows.orders,
    "fill": order_rows.fill,
    "booked": order_rows.booked,
    "refusal": order_rows.refusal,
    "halted": order_rows.halted,
    "resumed": order_rows.resumed,
    "risk_report": order_rows.risk_report,
    "fork": control_rows.fork,
    "snapshot": control_rows.snapshot,
    "dead_letter": control_rows.dead_letter,
}
"""What makes the rows of each record type; the runtime's own types have no table."""

PASSED_ON = frozenset({"epoch", "history", "join", "leave"})
"""What every stage passes on; it is stored once, from the topic it entered by."""

ENTRANCE = "trades"


def rows(inbound: Inbound) -> Rows:
    """Return each row of a record with the name of its table; see `tables.COLUMNS`.

    Raises:
        KeyError: The type has no table: a state, a claim, progress, a listing.
    """
    record = inbound.record
    if record.TYPE in PASSED_ON and inbound.topic != ENTRANCE:
        return []
    return MAKERS[record.TYPE](record, inbound)
