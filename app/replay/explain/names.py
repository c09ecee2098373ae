"""Something a person can name enters; where its rows are leaves."""

from __future__ import annotations

import re

from app.errors import ConfigurationError
from app.replay.explain.archive import Wanted
from app.replay.explain.row import Row

_NUMBER = re.compile(r"[0-9]{1,18}")
_STAGES = {
    "candles": ("candles",),
    "portfolio": ("portfolio",),
    "allocation": ("allocations",),
    "risk": ("risk_events", "risk_reports"),
    "execution": ("fills", "bookings"),
}
FORMS = (
    "an order (ACCOUNT/INSTRUMENT/STRATEGY/MILLISECONDS, /PART for a fill of it), the id of a "
    "record (stage/source/destination/number), trades/INSTRUMENT/ID, clock/INSTRUMENT/MILLISECONDS "
    "or gap/… or command/… as a record's origin has it"
)
_NAMED = {
    "gap": (4, "gaps"),
    "command": (3, "commands"),
    "join": (4, "memberships"),
    "leave": (4, "memberships"),
    "epoch": (4, "instruments"),
}
_NUMBERED, _IDENTITY, _PART = 3, 4, 5
_TIMES = 10**10
"""Numbers from here on are times in milliseconds: no stage sends so many records."""


def lookups(name: str) -> list[Wanted]:
    """Return where the record of that name may be.

    Raises:
        ConfigurationError: Nothing is named so.
    """
    parts = name.split("/")
    found = _entered(name, parts) or _derived(name, parts)
    if not found:
        raise ConfigurationError(f"{name[:200]!r} names nothing; what can be explained is {FORMS}.")
    return found


def _entered(name: str, parts: list[str]) -> list[Wanted]:
    kind, key = parts[0], parts[1] if len(parts) > 1 else ""
    if len(parts) == _NUMBERED and _NUMBER.fullmatch(parts[2]):
        number = int(parts[2])
        if kind == "trades":
            return [Wanted("trades", key, equal={"trade_id": (number,)})]
        if kind == "clock":
            return [Wanted("clocks", key, number, number)]
    length, table = _NAMED.get(kind, (0, ""))
    if len(parts) != length:
        return []
    return [Wanted(table, parts[2] if kind == "epoch" else key, equal={"identity": (name,)})]


def _derived(name: str, parts: list[str]) -> list[Wanted]:
    if len(parts) == _PART and _NUMBER.fullmatch(parts[4]) and _NUMBER.fullmatch(parts[3]):
        order = "/".join(parts[:4])
        part = {"order_id": (order,), "part": (int(parts[4]),)}
        return [Wanted("fills", parts[0], int(parts[3]), equal=part)]
    if len(parts) != _IDENTITY or not all(parts) or not _NUMBER.fullmatch(parts[3]):
        return []
    stage, source, destination, number = parts[0], parts[1], parts[2], int(parts[3])
    if number >= _TIMES:
        return [Wanted("orders", source, number, number, {"order_id": (name,)})]
    tables = _STAGES.get(stage, ("signals",))
    if stage == "risk" and destination != source:
        tables = ("orders",)
    return [Wanted(table, destination, equal={"identity": (name,)}) for table in tables]


def name_of(row: Row) -> str:
    """Return the name of a row's record; an order and a trade have their own."""
    match row.table:
        case "trades":
            return f"trades/{row['instrument']}/{row['trade_id']}"
        case "clocks":
            return f"clock/{row['instrument']}/{row['time']}"
        case "orders":
            return str(row["order_id"])
    return str(row["identity"])
