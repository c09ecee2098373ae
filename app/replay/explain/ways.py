"""What is wanted of a derived topic enters; whose records, from which to which, can hold it leaves.

What one sender puts on a topic rises: in number with every record, in event time with every
decision. Between senders nothing rises: a run's instruments may come one after the other. So a
search by halves asks one sender's records at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import orjson

from app.replay.explain.archive import Wanted
from app.replay.explain.row import SOURCES, TIMELESS
from app.runtime.ports import Stored

TICKS = {
    "candles": "candle",
    "signals": "signal",
    "portfolio": "portfolio",
    "allocations": "allocated",
    "risk": "risk_report",
    "orders": "orders",
    "fills": "booked",
}
"""By topic: the record that each of its senders puts there for every decision time."""

_OWN = {"candles": "candles", "portfolio": "portfolio", "allocations": "allocation", "risk": "risk"}
"""By topic: the stage that alone sends there what stands under a key, which is its own, too."""

_SHORT = 200
"""A record's id is in so many of its first bytes."""


@dataclass(frozen=True, slots=True)
class Way:
    """Which records of a topic can hold what is wanted.

    Attributes:
        tick: The type of record whose times rise; empty: numbers are asked for.
        senders: Who sends what is wanted, as stage/source.
        first, last: The first and the last number, or time in milliseconds, that is wanted.
    """

    tick: str
    senders: tuple[str, ...]
    first: int
    last: int

    def told(self, fields: dict[str, Any]) -> tuple[str, int] | None:
        """Return a record's sender and how far it has come; none where the record tells neither."""
        stage, source, *rest = f"{fields.get('id', '')}/".split("/")
        name = f"{stage}/{source}"
        if name not in self.senders:
            return None
        if not self.tick:
            return name, int(rest[1])
        if fields["type"] != self.tick or fields.get("revision"):
            return None
        return name, int(fields["time"])

    def below(self, stored: Stored, key: bytes, sender: str) -> bool | None:
        """Tell whether a sender's record comes before what is wanted; none of any other record."""
        value = stored.value or b""
        if stored.key != key or f'"{sender}/'.encode() not in value[:_SHORT]:
            return None
        told = self.told(orjson.loads(value))
        return told[1] < self.first if told is not None and told[0] == sender else None


@dataclass(slots=True)
class Passage:
    """How far a reading has come along a way."""

    way: Way
    begun: dict[str, int] = field(default_factory=dict)
    passed: set[str] = field(default_factory=set)

    def take(self, fields: dict[str, Any]) -> None:
        """Take note of a record."""
        told = self.way.told(fields)
        if told is not None:
            sender, value = told
            self.begun.setdefault(sender, value)
            if value > self.way.last:
                self.passed.add(sender)

    @property
    def over(self) -> bool:
        """Whether nothing that is wanted can come any more."""
        return len(self.passed) == len(self.way.senders)

    def late(self) -> list[str]:
        """Return the senders of whom something that is wanted may stand before."""
        first = self.way.first
        return [each for each in self.way.senders if self.begun.get(each, first) >= first]


def way_to(wants: Sequence[Wanted]) -> Way | None:
    """Return the way to all that is wanted of one topic and key; none where all must be read."""
    topic = SOURCES[wants[0].table][0]
    names = [str(name) for one in wants for name in one.equal.get("identity", ())]
    if topic not in TICKS or any(one.table in TIMELESS for one in wants):
        return None
    if names and all("identity" in one.equal for one in wants):
        senders, numbers = zip(*(name.rsplit("/", 2)[::2] for name in names), strict=True)
        if not all(number.isdigit() for number in numbers):
            return None
        found = [int(number) for number in numbers]
        return Way("", tuple(dict.fromkeys(senders)), min(found), max(found))
    known = [sender for one in wants for sender in _senders(topic, one) or [""]]
    if "" in known:
        return None
    first, last = min(one.first for one in wants), max(one.last for one in wants)
    return Way(TICKS[topic], tuple(dict.fromkeys(known)), first, last)


def _senders(topic: str, wanted: Wanted) -> list[str]:
    """Return who sends what is wanted; nobody where that is not known."""
    if topic in _OWN:
        return [f"{_OWN[topic]}/{wanted.key}"]
    equal = wanted.equal
    orders = [str(order).split("/") for order in equal.get("order_id", ())]
    if topic == "orders":
        accounts = [order[0] for order in orders] or equal.get("account", ())
        return [f"risk/{account}" for account in accounts]
    if topic == "fills":
        instruments = [order[1] for order in orders] or equal.get("instrument", ())
        return [f"execution/{instrument}" for instrument in instruments]
    pairs = product(equal.get("strategy", ()), equal.get("instrument", ()))
    return [f"{strategy}/{instrument}" for strategy, instrument in pairs]
