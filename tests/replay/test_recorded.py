"""A record's own time, however its columns stand in memory."""

from __future__ import annotations

from decimal import Decimal

import pytest

from app.core.events import Clock, Message, Trades
from app.replay.recorded import event_time
from app.runtime.codec import decode, encode
from app.runtime.wire_reading import LONG


@pytest.mark.parametrize("count", [1, LONG - 1, LONG, LONG + 1])
def test_trades_are_of_the_time_of_their_last(count: int) -> None:
    ids = tuple(range(1, count + 1))
    record = Trades("X:Y", ids, ids, ids, ids, (Decimal(2),) * count, (Decimal(1),) * count,
                    (False,) * count, 0)  # fmt: skip
    assert event_time(Message(record)) == count
    assert event_time(decode(encode(Message(record)))) == count


def test_another_record_is_of_its_one_time() -> None:
    assert event_time(Message(Clock("X:Y", 60_000, 0, 0))) == 60_000
