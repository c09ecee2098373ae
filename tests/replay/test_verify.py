"""A recorded run verifies; one byte, one record or one parameter changed is named exactly."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest

from app.core.columns import Integers
from app.core.events import Candle, Command, Epoch, Fill, Message, Trades
from app.pipeline import STAGES
from app.replay.driver import Replay
from app.replay.verify import Verdict, verify
from app.runtime import wire_reading
from app.runtime.codec import decode, encode
from app.runtime.ports import Entry, Place, Stored
from tests.replay.market import Market
from tests.replay.test_ring import COMMANDS, INTERVALS, play
from tests.simulation.log import SimulatedLog

TOPICS = ("trades", "candles", "signals", "portfolio", "allocations", "orders", "risk", "fills")
COUNTS = dict.fromkeys(TOPICS, 2)
Change = Callable[[Message], Message | None]


class RecordedLog:
    """A log that holds what a run left; reading it is all that verify does."""

    def __init__(self) -> None:
        self._log = SimulatedLog(COUNTS, random.Random(0))

    def put(self, topic: str, key: str, value: bytes) -> None:
        self._log.put(Entry(topic, key.encode(), value))

    async def chunks(self, place: Place, start: int, stop: int) -> AsyncIterator[list[Stored]]:
        for begin in range(start, stop, 7):
            yield self._log.stored(place, begin, min(7, stop - begin))

    async def bounds(self, place: Place) -> tuple[int, int]:
        return await self._log.bounds(place)

    async def partitions(self, topic: str) -> int:
        return await self._log.partitions(topic)

    def partition_for(self, key: bytes, partitions: int) -> int:
        return self._log.partition_for(key, partitions)


@pytest.fixture(scope="module")
def run() -> Replay:
    return play(Replay(STAGES), Market(seed=7, intervals=INTERVALS))


def record(run: Replay, change: Callable[[str, Message, bytes], list[bytes]]) -> RecordedLog:
    """Return a log of the run, each record as `change` leaves it: gone, altered, or twice."""
    log = RecordedLog()
    for topic in TOPICS:
        for entry in run.entries(topic):
            for value in change(topic, entry.message, encode(entry.message)):
                log.put(topic, entry.key, value)
    return log


def judge(log: Any) -> Verdict:
    return asyncio.run(verify(log, STAGES))


def as_it_was(_topic: str, _message: Message, value: bytes) -> list[bytes]:
    return [value]


def test_a_recorded_run_is_equal_with_its_commands(run: Replay) -> None:
    verdict = judge(record(run, as_it_was))
    assert verdict.differences == []
    assert verdict.pending == verdict.repeats == 0
    assert verdict.counts["candles"] > INTERVALS
    assert any(isinstance(e.message.record, Command) for e in run.entries("signals"))
    assert len(COMMANDS) == 2


def test_a_run_of_long_records_is_equal(run: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    # What begins at so many rows that this run has none of them.
    monkeypatch.setattr(wire_reading, "MANY", 1)
    monkeypatch.setattr(wire_reading, "LONG", 1)
    made = next(e.message for e in run.entries("trades") if isinstance(e.message.record, Trades))
    read = decode(encode(made)).record
    assert isinstance(read, Trades)
    assert isinstance(read.time, Integers)
    verdict = judge(record(run, as_it_was))
    assert verdict.differences == []
    assert verdict.counts["candles"] > INTERVALS


def test_repeats_of_the_same_bytes_are_counted_and_equal(run: Replay) -> None:
    def twice(topic: str, message: Message, value: bytes) -> list[bytes]:
        return [value, value] if topic == "fills" and isinstance(message.record, Fill) else [value]

    verdict = judge(record(run, twice))
    assert verdict.differences == []
    assert verdict.repeats > 0


def some(run: Replay, topic: str, kind: type) -> Message:
    found = [e.message for e in run.entries(topic) if isinstance(e.message.record, kind)]
    return found[len(found) // 2]


@pytest.mark.parametrize("stands", ["once", "again as it was"])
def test_one_digit_of_one_fill_is_named(run: Replay, stands: str) -> None:
    target = some(run, "fills", Fill)

    def altered(_topic: str, message: Message, value: bytes) -> list[bytes]:
        if message.name != target.name:
            return [value]
        fields = orjson.loads(value)
        changed = orjson.dumps(fields | {"price": fields["price"] + "1"})
        return [changed] if stands == "once" else [changed, value]

    (first, *others) = judge(record(run, altered)).differences
    assert (first.topic, first.name, first.field) == ("fills", target.name, "price")
    assert first.recorded == first.replayed + "1"
    assert first.chain[0] == target.origin
    assert first.place.startswith("fills/")
    assert any(each.name == target.name for each in others) == (stands != "once")


def test_one_candle_dropped_is_named(run: Replay) -> None:
    target = some(run, "candles", Candle)

    def dropped(_topic: str, message: Message, value: bytes) -> list[bytes]:
        return [] if message.name == target.name else [value]

    first = judge(record(run, dropped)).differences[0]
    assert (first.topic, first.name, first.recorded) == ("candles", target.name, "")
    assert target.name in first.replayed


def test_one_parameter_changed_is_named(run: Replay) -> None:
    def changed(topic: str, message: Message, value: bytes) -> list[bytes]:
        if topic != "trades" or not isinstance(message.record, Epoch):
            return [value]
        fields = orjson.loads(value)
        fields["account"]["execution"]["slippage"] = "7"
        return [orjson.dumps(fields)]

    first = judge(record(run, changed)).differences[0]
    assert first.field == "account.execution.slippage"
    assert first.replayed == "7"


def test_what_a_stage_has_not_written_yet_is_pending(run: Replay) -> None:
    last = [e.message for e in run.entries("risk")][-1]

    def cut(topic: str, message: Message, value: bytes) -> list[bytes]:
        return [] if topic == "risk" and message.name == last.name else [value]

    verdict = judge(record(run, cut))
    assert verdict.differences == []
    assert verdict.pending == 1


def test_a_record_that_no_input_makes_is_named(run: Replay) -> None:
    target = some(run, "risk", object)
    assert target.identity is not None
    forged = orjson.loads(encode(target)) | {"id": f"risk/x/{target.identity.destination}/1"}

    def added(_topic: str, message: Message, value: bytes) -> list[bytes]:
        return [value, orjson.dumps(forged)] if message.name == target.name else [value]

    first = judge(record(run, added)).differences[0]
    assert (first.name, first.replayed) == (forged["id"], "")
    assert decode(orjson.dumps(forged)).name == first.name
