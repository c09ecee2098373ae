"""One log line a decision: orders, fills, refusals and halts as they are made."""

from __future__ import annotations

from typing import Any

import structlog

from app.core.events import Fill, Halted, Message, Orders, Refusal, Resumed
from app.runtime.bus import EventBus, Slow

log = structlog.get_logger()


def describe(message: Message) -> tuple[str, dict[str, Any]] | None:
    """Return the event and its fields; None for what is no decision."""
    record = message.record
    if isinstance(record, Orders) and not record.orders:
        return None
    if not isinstance(record, Orders | Fill | Refusal | Halted | Resumed):
        return None
    fields: dict[str, Any] = {"id": message.name, "account": record.account, "time": record.time}
    if isinstance(record, Orders):
        fields["orders"] = [f"{o.side} {o.quantity} by {o.strategy}" for o in record.orders]
    if isinstance(record, Fill):
        fields |= {"side": str(record.side), "quantity": str(record.quantity)}
        fields |= {"price": str(record.price), "order": record.order_id}
    if isinstance(record, Refusal | Halted | Resumed):
        fields["reason"] = record.reason
    if isinstance(record, Orders | Fill | Refusal):
        fields["instrument"] = record.instrument
    return record.TYPE, fields


async def log_decisions(bus: EventBus) -> None:
    """Log the decisions on the bus until it closes; when slow, the oldest go unsaid."""
    kinds = (Orders, Fill, Refusal, Halted, Resumed)
    with bus.subscribe("decision log", *kinds, slow=Slow.DROP_OLDEST) as subscription:
        async for message in subscription:
            described = describe(message)
            if described is not None:
                event, fields = described
                log.info(event, **fields)
