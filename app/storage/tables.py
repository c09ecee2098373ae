"""The tables as data: nothing enters, each table's columns and what makes a row one of its kind."""

from __future__ import annotations

from dataclasses import dataclass

PLACE = ("topic_partition", "topic_offset")
NAMED = ("identity", *PLACE)
DERIVED = ("identity", "origin", *PLACE)


@dataclass(frozen=True, slots=True)
class Table:
    """A table the sink writes.

    Attributes:
        name: Its name.
        columns: Every column, in the order rows have.
        key: The primary key; a row that has it already is a repeat.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def derived(self) -> bool:
        """Whether its rows come from derived records, so that a repeat has the same identity."""
        return "origin" in self.columns


def _table(name: str, columns: str, lineage: tuple[str, ...], key: str) -> Table:
    return Table(name, (*columns.split(), *lineage), tuple(key.split()))


_ALL = (
    _table(
        "instruments",
        "instrument account epoch base quote tick_size lot_size minimum_quantity "
        "minimum_notional interval_ms version",
        NAMED,
        "instrument account epoch",
    ),
    _table(
        "accounts",
        "account epoch quote capital interval_ms version configuration",
        NAMED,
        "account epoch",
    ),
    _table(
        "memberships",
        "time kind instrument account epoch next_id series reason",
        NAMED,
        "identity time",
    ),
    _table(
        "trades",
        "time instrument trade_id first_id last_id price quantity buyer_maker age_ms",
        PLACE,
        "instrument trade_id time",
    ),
    _table("clocks", "time instrument last_id age_ms", PLACE, "instrument time"),
    _table(
        "gaps",
        "from_time to_time instrument first_id last_id reason",
        NAMED,
        "identity from_time",
    ),
    _table(
        "history",
        "time instrument interval_ms open high low close volume",
        NAMED,
        "identity time",
    ),
    _table(
        "candles",
        "time instrument interval_ms revision open high low close volume quote_volume "
        "taker_buy_volume trades first_id last_id complete age_ms",
        DERIVED,
        "instrument time revision",
    ),
    _table(
        "signals",
        "time account instrument strategy epoch view reason indicators price complete age_ms",
        DERIVED,
        "account instrument strategy time",
    ),
    _table("commands", "account command_id action given_by reason", NAMED, "identity"),
    _table("portfolio", "time account epoch cash equity instructions", DERIVED, "account time"),
    _table(
        "positions",
        "time account strategy instrument quantity cost realised fees mark",
        DERIVED,
        "account time strategy instrument",
    ),
    _table(
        "allocations",
        "time account strategy instrument epoch weight quantity held signal",
        DERIVED,
        "account time strategy instrument",
    ),
    _table(
        "strategy_performance",
        "time account strategy epoch weight realised unrealised fees profit",
        DERIVED,
        "account time strategy",
    ),
    _table(
        "orders",
        "time account instrument strategy order_id epoch side kind quantity limit_price "
        "stop_price signal",
        DERIVED,
        "order_id time",
    ),
    _table(
        "fills",
        "time account instrument strategy order_id part side decision_time trade_id price "
        "quantity fee liquidity",
        DERIVED,
        "order_id part time",
    ),
    _table("bookings", "time account instrument final", DERIVED, "account instrument time"),
    _table(
        "outcomes", "time account instrument order_id filled cancelled", DERIVED, "order_id time"
    ),
    _table(
        "risk_events",
        "time account kind epoch instrument strategy limit_name wanted allowed flatten reason "
        "signal",
        DERIVED,
        "identity time",
    ),
    _table(
        "risk_reports",
        "time account epoch equity day_start peak daily_loss drawdown gross_notional halted "
        "orders refusals",
        DERIVED,
        "account time",
    ),
    _table(
        "forks",
        "fork_id step time at backend source handle expires detail",
        NAMED,
        "identity",
    ),
    _table("snapshots", "time stage key version needs body", NAMED, "identity time"),
    _table(
        "dead_letters",
        "topic partition offset key stage reason payload size",
        NAMED,
        "identity",
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in _ALL}
COLUMNS: dict[str, tuple[str, ...]] = {table.name: table.columns for table in _ALL}
