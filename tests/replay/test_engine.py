"""The engine: the same records as the driver's, and as its own from any point of a run."""

from __future__ import annotations

import functools
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import localcontext

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.core.events import Message, Output, Portfolio, Signal
from app.pipeline import STAGES
from app.replay.cut import Cut, sent
from app.replay.driver import Replay
from app.replay.engine import Engine, command_offset
from app.runtime.codec import decode_state, encode, encode_state
from tests.replay.market import CLOCKED, INSTRUMENTS, Market, end
from tests.replay.test_ring import COMMANDS, INTERVALS, TOPICS, play

Entered = tuple[str, str, Message, int]
STATES = {stage.name: stage.state for stage in STAGES}


def entering(source: Market, draw: random.Random | None = None) -> Iterator[Entered]:
    """Yield what enters, with offsets; instruments in turn, or interleaved as drawn."""
    numbers = dict.fromkeys(INSTRUMENTS, 0)
    for number in range(source.intervals):
        if number - 1 in COMMANDS:
            command = COMMANDS[number - 1]
            yield "signals", command.account, Message(command), command_offset(end(number))
        lanes = {name: list(source.packed[name][number]) for name in INSTRUMENTS}
        while lanes:
            name = draw.choice(list(lanes)) if draw else next(iter(lanes))
            numbers[name] += 1
            yield "trades", name, Message(lanes[name].pop(0)), numbers[name]
            lanes = {each: records for each, records in lanes.items() if records}


def run(records: Iterable[Entered], start: Cut | None = None) -> tuple[Engine, list[Output]]:
    made: list[Output] = []
    engine = Engine(STAGES, made.append, start)
    for record in records:
        engine.feed(*record)
    return engine, made


def by_name(outputs: Iterable[Output]) -> dict[str, bytes]:
    return {output.message.name: encode(output.message) for output in outputs}


def stored(cut: Cut) -> Cut:
    """Return a cut as it would be read back from where it was written."""
    return Cut(
        tuple(
            replace(state, body=decode_state(STATES[state.stage], encode_state(state.body)))
            for state in cut.states
        ),
        cut.in_flight,
    )


def after(cut: Cut, outputs: Iterable[Output]) -> list[Output]:
    """Return the outputs that the states of a cut are not past."""
    numbers = {(state.stage, state.key): sent(state) for state in cut.states}
    return [
        output
        for output in outputs
        if (identity := output.message.identity) is not None
        and identity.number
        > numbers.get((identity.stage, identity.source), {}).get(identity.destination, 0)
    ]


@pytest.mark.parametrize("seed", range(1, 7))
def test_makes_what_the_driver_makes(seed: int) -> None:
    source = Market(seed, INTERVALS)
    _, made = run(entering(source))
    expected = play(Replay(STAGES), source)
    derived = {
        message.name: encode(message)
        for topic in TOPICS
        for message in expected.messages(topic)
        if message.identity is not None
    }
    assert by_name(made) == derived
    assert len(made) == len(derived)
    assert not run(entering(source))[0].waiting()


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_instruments_makes_no_difference(seed: int) -> None:
    """A command acts where it stands in time, whichever instrument's trades come first."""
    source = Market(3, INTERVALS)
    _, made = run(entering(source, random.Random(seed)))
    assert by_name(made) == by_name(run(entering(source))[1])


def test_the_decimal_context_of_the_thread_makes_no_difference() -> None:
    """Not even one that rounds after five digits: exactness leans on nothing outside."""
    expected = run(entering(Market(4, INTERVALS)))[1]
    records = list(entering(Market(4, INTERVALS)))
    with localcontext(prec=5):
        made = run(records)[1]
    assert by_name(made) == by_name(expected)


@functools.cache
def whole_run(order: int) -> tuple[list[Entered], list[Output]]:
    """Return the records of one market in a drawn order, and all that is made of them."""
    records = list(entering(Market(2, INTERVALS), random.Random(order)))
    return records, run(records)[1]


@settings(max_examples=12, deadline=None)
@given(place=st.integers(0, 10_000), order=st.integers(0, 3))
def test_goes_on_from_any_point_as_if_nothing_had_been(place: int, order: int) -> None:
    records, whole = whole_run(order)
    count = place % (len(records) + 1)
    engine, before = run(records[:count])
    cut = stored(engine.cut())

    _, made = run(records, cut)

    assert by_name(made) == by_name(after(cut, whole))
    assert len(made) == len(after(cut, whole))
    assert len(before) + len(made) >= len(whole)


@settings(max_examples=6, deadline=None)
@given(places=st.tuples(*[st.integers(0, 10_000)] * 2), order=st.integers(0, 3))
def test_states_of_different_moments_start_it_as_well(places: tuple[int, int], order: int) -> None:
    """Some stages' states are older than others': what was on its way is wider, that is all."""
    records, whole = whole_run(order)
    early, late = sorted(place % (len(records) + 1) for place in places)
    older, newer = run(records[:early])[0].cut(), run(records[:late])[0].cut()
    old = {(state.stage, state.key): state for state in older.states}
    mixed = tuple(
        old.get((state.stage, state.key), state) if hash_of(state.key, order) else state
        for state in newer.states
    )
    made_again = by_name(after(Cut(mixed, ()), whole))
    # What was seen long ago is sent again as well: repeats are skipped.
    cut = Cut(mixed, tuple(output for output in whole if output.message.name not in made_again))
    assume(not passes_a_command(cut))

    _, made = run(records, cut)

    assert by_name(made) == by_name(after(cut, whole))


def passes_a_command(cut: Cut) -> bool:
    """Tell whether a signal that was on its way stands behind a command that its account lacks."""
    times = {state.key: state.time for state in cut.states if state.stage == "portfolio"}
    return any(
        times[command.account] < end(number) <= record.time
        for number, command in COMMANDS.items()
        for output in cut.in_flight
        if isinstance(record := output.message.record, Signal)
        and output.key == command.account in times
    )


def hash_of(key: str, salt: int) -> bool:
    return (sum(key.encode()) + salt) % 2 == 0


def test_holds_no_more_after_many_intervals_than_after_few() -> None:
    def held(intervals: int) -> int:
        engine, _ = run(entering(Market(5, intervals)))
        inlets = [each for reader in engine._readers.values() for each in reader.inlets.values()]
        return sum(len(outputs) for inlet in inlets for outputs in inlet.sent.values())

    assert held(120) < 2.5 * held(40)


def test_a_command_acts_at_the_first_decision_time_from_its_own_on() -> None:
    source = Market(7, 20)
    at = CLOCKED[0]
    records = [record for record in entering(source) if record[0] == "trades"]
    command = COMMANDS[at]
    for time in (end(at) + 1, end(at + 1)):
        given_at = ("signals", command.account, Message(command), command_offset(time))
        made = run([given_at, *records])[1]
        acted = [
            record.time
            for record in (output.message.record for output in made)
            if isinstance(record, Portfolio) and record.instructions
        ]
        assert acted == [end(at + 1)]


def test_needs_neither_faust_nor_a_kafka_client() -> None:
    code = (
        "import sys, app.replay.engine; "
        "print([name for name in ('faust', 'mode', 'aiokafka', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
