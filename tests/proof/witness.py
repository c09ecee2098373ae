"""What stands on a run's topics enters; how often each thing has really happened leaves."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from app.core.events import Candle, Clock, Fill, Gap, Halted, Order, Orders, Resumed, Trades
from app.core.tape import Late, Tape
from app.runtime import topics
from app.runtime.codec import decode
from app.runtime.ports import Place
from tests.integration.worker import Installation

TAKEN = {"epoch": "adopt", "join": "join", "leave": "leave"}
NEEDED = (
    "trades",
    "gaps on trades",
    "gaps whose end is known",
    "trades that came late",
    "revisions of candles",
    "incomplete candles",
    "halts",
    "resumes",
    "orders",
    "fills",
    "snapshots",
)
"""What a run must have in it to prove anything."""


async def counted(installation: Installation) -> Counter[str]:
    """Count on the topics alone, whatever those who made it happen say."""
    found: Counter[str] = Counter()
    tapes: dict[str, Tape] = defaultdict(Tape)
    for message in await installation.messages("trades"):
        _entered(found, tapes, message.record)
    for topic in ("candles", "orders", "risk", "fills"):
        for message in await installation.messages(topic):
            _made(found, message.record)
    for number in range(topics.declared()["snapshots"].partitions):
        for stored in await installation.log.read(Place("snapshots", number)):
            found["snapshots"] += decode(stored.value).record.TYPE == "snapshot"
    return found


def _entered(found: Counter[str], tapes: dict[str, Tape], record: Any) -> None:
    tape = tapes[record.instrument]
    before = tape.state.next_id or 0
    if isinstance(record, Trades | Clock | Gap):
        steps = list(tape.take(record))
        found["trades that came late"] += sum(isinstance(step, Late) for step in steps)
    elif record.TYPE in TAKEN:
        getattr(tape, TAKEN[record.TYPE])(record)
    if isinstance(record, Trades):
        found["trades"] += max(0, (tape.state.next_id or 0) - before)
    if isinstance(record, Gap):
        found["gaps on trades"] += 1
        found["gaps whose end is known"] += record.last_id is not None


def _made(found: Counter[str], record: Any) -> None:
    if isinstance(record, Candle):
        found["candles"] += record.revision == 0
        found["revisions of candles"] += record.revision > 0
        found["incomplete candles"] += not record.complete and record.revision == 0
    elif isinstance(record, Orders):
        found["orders"] += sum(isinstance(order, Order) for order in record.orders)
    found["halts"] += isinstance(record, Halted)
    found["resumes"] += isinstance(record, Resumed)
    found["fills"] += isinstance(record, Fill)
