"""A record as read enters, its rows leave as the tables have them; so both sources speak alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.core.events import Epoch, Inbound, Message
from app.storage.rows import MAKERS, rows
from app.storage.tables import COLUMNS
from app.storage.values import EPOCH

SOURCES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "trades": ("trades", "instrument", ("trades",)),
    "clocks": ("trades", "instrument", ("clock",)),
    "gaps": ("trades", "instrument", ("gap",)),
    "memberships": ("trades", "instrument", ("join", "leave")),
    "candles": ("candles", "instrument", ("candle",)),
    "signals": ("signals", "account", ("signal",)),
    "commands": ("signals", "account", ("command",)),
    "instruments": ("portfolio", "account", ("epoch",)),
    "accounts": ("portfolio", "account", ("epoch",)),
    "portfolio": ("portfolio", "account", ("portfolio",)),
    "positions": ("portfolio", "account", ("portfolio",)),
    "allocations": ("allocations", "account", ("allocated",)),
    "strategy_performance": ("allocations", "account", ("allocated",)),
    "orders": ("orders", "instrument", ("orders",)),
    "risk_events": ("risk", "account", ("refusal", "halted", "resumed")),
    "risk_reports": ("risk", "account", ("risk_report",)),
    "fills": ("fills", "account", ("fill",)),
    "bookings": ("fills", "account", ("booked",)),
    "outcomes": ("fills", "account", ("booked",)),
}
"""By table: a topic with its records, the column that is their key there, and their types.

The rules of an account are read where `portfolio` passes them on, not among all trades.
"""

TIMELESS = frozenset({"instruments", "accounts", "commands"})
PLACELESS = frozenset({"instruments", "accounts"})
"""Tables whose record stands on several topics, so that it has no one place."""

_DOCUMENTS = frozenset({"indicators", "instructions", "configuration"})
_PLACE = ("topic_partition", "topic_offset")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table.

    Attributes:
        table: Its table.
        fields: Values by column: times in milliseconds since the epoch UTC, documents parsed.
    """

    table: str
    fields: Mapping[str, Any]

    def __getitem__(self, column: str) -> Any:
        return self.fields[column]

    @property
    def time(self) -> int:
        """Its time, milliseconds since the epoch UTC; 0 where the table has none."""
        return int(self.fields.get("from_time" if self.table == "gaps" else "time", 0))

    @property
    def place(self) -> tuple[str, int, int] | None:
        """Topic, partition and offset of its record."""
        if self.table in PLACELESS:
            return None
        return (SOURCES[self.table][0], self["topic_partition"], self["topic_offset"])


def row_of(table: str, values: Mapping[str, Any]) -> Row:
    """Return a row as the tables or the sink have it."""
    leave_out = _PLACE if table in PLACELESS else ()
    return Row(
        table,
        {name: _value(name, value) for name, value in values.items() if name not in leave_out},
    )


def rows_of(inbound: Inbound) -> list[Row]:
    """Return every row of a record, those of rules that were passed on, too."""
    record = inbound.record
    if isinstance(record, Epoch):
        inbound = Inbound(Message(record), inbound.topic, inbound.partition, inbound.offset)
        made = MAKERS[record.TYPE](record, inbound)
    else:
        made = rows(inbound)
    return [row_of(table, dict(zip(COLUMNS[table], row, strict=True))) for table, row in made]


def _value(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return (value - EPOCH) // timedelta(milliseconds=1)
    return json.loads(value) if name in _DOCUMENTS and isinstance(value, str) else value
