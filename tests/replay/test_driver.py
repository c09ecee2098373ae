"""The driver, over a pipeline small enough to know what must come out of it."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import dataclass

import pytest

from app.core.events import Booked, Clock, Inbound, Message, Output
from app.core.flow import Outbox, Stage
from app.replay.driver import Replay, distinct
from tests.simulation import toys

COUNT = 24


def fed(replay: Replay, count: int = COUNT) -> Replay:
    for number in range(1, count + 1):
        for name in toys.INSTRUMENTS:
            replay.feed("trades", name, Message(Clock(name, 1000 * number, number, 0)))
    replay.run()
    return replay


def outcome(replay: Replay) -> dict[tuple[str, int], str]:
    return {
        (account, message.identity.number): str(message.origin)
        for account in toys.ACCOUNTS
        for message in replay.messages("risk", account)
        if message.identity is not None
    }


def test_runs_until_nothing_moves() -> None:
    replay = fed(Replay(toys.STAGES))
    assert outcome(replay) == toys.expected(COUNT)
    assert len(replay.records("fills")) == COUNT // 2 * len(toys.INSTRUMENTS) * len(toys.ACCOUNTS)


def test_goes_on_with_what_is_fed_later() -> None:
    replay = Replay(toys.STAGES, partitions=3)
    for number in range(1, COUNT + 1):
        for name in toys.INSTRUMENTS:
            replay.feed("trades", name, Message(Clock(name, 1000 * number, number, 0)))
            replay.run()
    assert outcome(replay) == toys.expected(COUNT)


def test_takes_what_was_made_before_what_enters() -> None:
    """So little waits in between: an account never lags by more than the pair being made."""
    replay = Replay(toys.STAGES)
    fed(replay)
    assert replay.steps == sum(1 for topic in ("trades", "fills") for _ in replay.entries(topic))
    times = [getattr(entry.message.record, "time", 0) for entry in replay.entries("fills")]
    assert times == sorted(times)


@pytest.mark.parametrize("seed", range(20))
def test_order_and_crashes_change_nothing(seed: int) -> None:
    choose = random.Random(seed).randrange
    replay = fed(Replay(toys.STAGES, partitions=2, choose=choose, crash_every=10))
    assert outcome(replay) == toys.expected(COUNT)
    assert replay.crashes > 0


def test_crashes_leave_repeats_on_topics() -> None:
    replay = fed(Replay(toys.STAGES, choose=random.Random(1).randrange, crash_every=4))
    assert len(list(replay.entries("fills"))) > len(replay.messages("fills"))


class Forgetful(toys.Pairs):
    """Holds nothing, so that a crash loses the half of a pair it had taken."""

    def needs(self) -> dict[str, int]:
        return {}


def test_crashes_find_a_machine_that_needs_more_than_it_says() -> None:
    pairs = Stage("pairs", ("trades",), ("fills",), "instrument", Forgetful, toys.PairState)
    outcomes = [
        outcome(fed(Replay((pairs, toys.STAGES[1]), choose=random.Random(seed).randrange,
                           crash_every=5)))
        for seed in range(5)
    ]  # fmt: skip
    assert any(each != toys.expected(COUNT) for each in outcomes)


@dataclass(frozen=True, slots=True)
class NoState:
    """What a machine that remembers nothing stores."""


class Arrival:
    """Tells how many inputs it has taken: a step that depends on more than its records."""

    taken = 0

    def __init__(self, key: str, state: NoState | None) -> None:
        self.revision = self.time = 0
        self._outbox = Outbox("arrival", key, None)
        del state

    def take(self, inbound: Inbound) -> list[Output]:
        Arrival.taken += 1
        booked = Booked("left", toys.INSTRUMENTS[0], Arrival.taken, (), False)
        return [self._outbox.send("fills", "left", booked, inbound.message.name)]

    def durable(self) -> NoState:
        return NoState()

    def needs(self) -> dict[str, int]:
        return {}

    def waiting(self) -> str:
        return f"number {Arrival.taken + 1}"


def test_a_repeat_with_other_bytes_is_refused() -> None:
    arrival = Stage("arrival", ("trades",), ("fills",), "instrument", Arrival, NoState)
    replay = Replay((arrival,), choose=random.Random(0).randrange, crash_every=2)
    fed(replay)
    with pytest.raises(ValueError, match="was repeated with other bytes"):
        replay.messages("fills")


def test_tells_what_machines_wait_for() -> None:
    replay = fed(
        Replay((Stage("arrival", ("trades",), ("fills",), "instrument", Arrival, NoState),))
    )
    assert set(replay.waiting()) == {f"arrival/{name}" for name in toys.INSTRUMENTS}
    assert replay.machine("arrival", toys.INSTRUMENTS[0]).waiting().startswith("number")
    with pytest.raises(KeyError, match="no record for nobody"):
        replay.machine("arrival", "nobody")


def test_distinct_keeps_the_first_of_each_name() -> None:
    messages = [Message(Clock("A:X", time, 1, 0)) for time in (1, 2, 1)]
    assert distinct(messages) == messages[:2]


def test_needs_neither_faust_nor_a_kafka_client() -> None:
    code = (
        "import sys, app.replay.driver; "
        "print([name for name in ('faust', 'mode', 'aiokafka', 'asyncio') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert done.stdout.strip() == "[]"
