"""Records from risk to fill enter, their rows leave."""

from __future__ import annotations

from app.core.events import Booked, Fill, Halted, Inbound, Orders, Refusal, Resumed, RiskReport
from app.storage.values import Rows, derived, instant


def orders(record: Orders, inbound: Inbound) -> Rows:
    """One row an order; none where nothing was ordered."""
    start = (instant(record.time), record.account, record.instrument)
    end = derived(inbound)
    rows: Rows = []
    for order in record.orders:
        name = (order.strategy, order.order_id, record.epoch)
        kind = (order.side.value, order.kind.value, order.quantity)
        prices = (order.limit_price, order.stop_price, order.signal)
        rows.append(("orders", (*start, *name, *kind, *prices, *end)))
    return rows


def fill(record: Fill, inbound: Inbound) -> Rows:
    """One row."""
    row = (
        instant(record.time),
        record.account,
        record.instrument,
        record.strategy,
        record.order_id,
        record.part,
        record.side.value,
        instant(record.decision_time),
        record.trade_id,
        record.price,
        record.quantity,
        record.fee,
        record.liquidity.value,
    )
    return [("fills", (*row, *derived(inbound)))]


def booked(record: Booked, inbound: Inbound) -> Rows:
    """The booking's row and one for the outcome of each order."""
    start = (instant(record.time), record.account, record.instrument)
    end = derived(inbound)
    rows: Rows = [("bookings", (*start, record.final, *end))]
    for outcome in record.outcomes:
        row = (outcome.order_id, outcome.filled, outcome.cancelled)
        rows.append(("outcomes", (*start, *row, *end)))
    return rows


def refusal(record: Refusal, inbound: Inbound) -> Rows:
    """One row."""
    row = (
        instant(record.time),
        record.account,
        record.TYPE,
        record.epoch,
        record.instrument,
        record.strategy,
        record.limit.value,
        record.wanted,
        record.allowed,
        None,
        record.reason,
        record.signal,
    )
    return [("risk_events", (*row, *derived(inbound)))]


def halted(record: Halted, inbound: Inbound) -> Rows:
    """One row."""
    start = (instant(record.time), record.account, record.TYPE, record.epoch, None, None)
    row = (record.limit.value, None, None, record.flatten, record.reason, None)
    return [("risk_events", (*start, *row, *derived(inbound)))]


def resumed(record: Resumed, inbound: Inbound) -> Rows:
    """One row."""
    start = (instant(record.time), record.account, record.TYPE, record.epoch, None, None)
    row = (None, None, None, None, record.reason, None)
    return [("risk_events", (*start, *row, *derived(inbound)))]


def risk_report(record: RiskReport, inbound: Inbound) -> Rows:
    """One row."""
    row = (
        instant(record.time),
        record.account,
        record.epoch,
        record.equity,
        record.day_start,
        record.peak,
        record.daily_loss,
        record.drawdown,
        record.gross_notional,
        record.halted,
        record.orders,
        record.refusals,
    )
    return [("risk_reports", (*row, *derived(inbound)))]
