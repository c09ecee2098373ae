"""Records from signal to allocation enter, their rows leave."""

from __future__ import annotations

from app.core.events import Allocated, Command, Inbound, Portfolio, Signal
from app.storage.values import Rows, derived, document, instant, named


def signal(record: Signal, inbound: Inbound) -> Rows:
    """One row."""
    row = (
        instant(record.time),
        record.account,
        record.instrument,
        record.strategy,
        record.epoch,
        record.view.value,
        record.reason,
        document(record.indicators),
        record.price,
        record.complete,
        record.age,
    )
    return [("signals", (*row, *derived(inbound)))]


def command(record: Command, inbound: Inbound) -> Rows:
    """One row."""
    texts = (record.by, record.reason)
    row = (record.account, record.command_id, record.action.value, *texts)
    return [("commands", (*row, *named(inbound)))]


def portfolio(record: Portfolio, inbound: Inbound) -> Rows:
    """The account's row, and one for each holding with the mark of its instrument."""
    start = (instant(record.time), record.account)
    end = derived(inbound)
    instructions = [
        {"action": item.action.value, "command": item.command} for item in record.instructions
    ]
    whole = (record.epoch, record.cash, record.equity, document(instructions))
    marks = {mark.instrument: mark.price for mark in record.marks}
    rows: Rows = [("portfolio", (*start, *whole, *end))]
    for held in record.holdings:
        book = (held.strategy, held.instrument, held.quantity, held.cost, held.realised, held.fees)
        rows.append(("positions", (*start, *book, marks.get(held.instrument), *end)))
    return rows


def allocated(record: Allocated, inbound: Inbound) -> Rows:
    """One row for each strategy's performance and one for each target, both with the weight."""
    start = (instant(record.time), record.account)
    end = derived(inbound)
    weights = {weight.strategy: weight.share for weight in record.weights}
    rows: Rows = []
    for item in record.performance:
        earned = (item.realised, item.unrealised, item.fees, item.profit)
        row = (item.strategy, record.epoch, weights.get(item.strategy), *earned)
        rows.append(("strategy_performance", (*start, *row, *end)))
    for target in record.targets:
        wanted = (target.quantity, target.held, target.signal)
        place = (target.strategy, target.instrument, record.epoch, weights.get(target.strategy))
        rows.append(("allocations", (*start, *place, *wanted, *end)))
    return rows
