"""Faults that a worker must not survive: it ends with its sentence, and changes nothing."""

from __future__ import annotations

import orjson
import pytest

from app.core.events import Clock, Message
from app.runtime.admission import OwnRecordError
from app.runtime.codec import encode
from app.runtime.partition import StateError
from app.runtime.ports import Place
from app.runtime.stage import LostInputError
from tests.simulation import ring, toys
from tests.simulation.explore import no_collection, shortened
from tests.simulation.faults import Faults, StepError
from tests.simulation.oracle import LOST, DatabaseOracle, expected, objections, of_topics
from tests.simulation.parts import Scenario
from tests.simulation.tape import Tape
from tests.simulation.world import World

CLOCKS = 10
SEEDS = 12
OWN_TOPICS = {"toys": ("fills", "risk"), "ring": ("candles", "portfolio", "allocations", "fills")}
CLOCK = Clock(toys.INSTRUMENTS[0], 1000, 1, 0)
POISON = (b"not a record", b"", b"{}", encode(Message(CLOCK)))


def scenario_of(seed: int) -> Scenario:
    return ring.scenario(0) if seed % 6 == 0 else toys.scenario(CLOCKS)


def faulty(tape: Tape) -> Faults:
    return Faults(kills=4, freezes=4, budget=tape.randrange(6), workers=1 + tape.randrange(2))


def right_so_far(world: World) -> list[str]:
    """Return what is on the topics that should not be, or with other bytes."""
    return [text for text in of_topics(world, expected(world)) if not text.endswith(LOST)]


def fatal_ends(world: World) -> list[tuple[str, str]]:
    """Return where each worker stood that ended for good, "" before any effect, and its words."""
    return [(point, str(error)) for _, point, error in world.ends if isinstance(error, world.fatal)]


def told_through(world: World, stage: str, place: Place) -> int:
    """Return how far a stage's members have said that they took a partition."""
    return max(
        (
            document["through"].get(place.topic, 0)
            for stored in world.log.ever(Place(f"state-{stage}", place.partition))
            if (document := orjson.loads(stored.value or b""))["type"] == "progress"
        ),
        default=0,
    )


@pytest.mark.parametrize("seed", range(SEEDS))
def test_foreign_bytes_among_our_own_records_stop_every_reader_in_front_of_them(seed: int) -> None:
    tape = Tape(f"{seed}:poison")
    scenario = scenario_of(seed)
    world = World(scenario, tape, faulty(tape))
    world.fatal = (OwnRecordError,)
    place = Place(tape.pick(OWN_TOPICS[scenario.name.split()[0]]), tape.randrange(2))
    world.inject(place, b"left", tape.pick(POISON), within=1500)
    database = DatabaseOracle(world)
    with shortened(2), no_collection():
        world.run()
        first = fatal_ends(world)
        world.start_again()
        ends = fatal_ends(world)

    at = world.poison[place]
    assert 0 < len(first) < len(ends)
    assert all(f"{place.topic}/{place.partition}/{at}" in text for _, text in ends)
    assert {point for point, _ in ends} == {""}, "something was written"
    assert right_so_far(world) == []
    database.rebuild()
    assert world.database.offsets.get(place, 0) <= at
    for name, group in world.groups.items():
        if place.topic in group.topics:
            assert group.committed.get(place, 0) <= at
            assert told_through(world, name, place) <= at


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_step_that_raises_ends_the_worker_until_its_code_is_mended(seed: int) -> None:
    tape = Tape(f"{seed}:step")
    scenario = scenario_of(seed)
    faults = faulty(tape)
    faults.breaks = True
    world = World(scenario, tape, faults)
    world.fatal = (StepError,)
    stage = tape.pick(scenario.stages)
    place = Place(tape.pick(stage.inputs), tape.randrange(2))
    world.broken = (stage.name, place, tape.randrange(4))
    database = DatabaseOracle(world)
    with shortened(2), no_collection():
        world.run()
        first = fatal_ends(world)
        world.start_again()
        ends = fatal_ends(world)
        assert right_so_far(world) == []
        world.successors()

    assert 0 < len(first) < len(ends)
    assert len({text for _, text in ends}) == 1
    assert {point for point, _ in ends} == {""}, "something was written"
    assert [*objections(world), *database.whole()] == []


def at_rest(seed: int) -> World:
    """Return a world in which all has been taken and every process has ended."""
    tape = Tape(f"{seed}:anew")
    world = World(scenario_of(seed), tape, faulty(tape))
    with shortened(2), no_collection():
        world.run()
        world.successors()
        for process in list(world.processes):
            world.end(process)
    return world


def assert_stops(world: World, groups: set[str], sentence: str) -> None:
    """Start a worker again, and see which groups end it, and that nothing else happens."""
    world.fatal = (LostInputError, StateError)
    world.ends.clear()
    before = world.progress()
    with shortened(2), no_collection():
        for name in groups:
            world.start_again((name,))
            found = [(member.split(".")[1], str(error)) for member, _, error in world.ends]
            assert found, f"{name} went on"
            assert {group for group, _ in found} == {name}
            assert all(sentence in text for _, text in found), found[0]
            world.ends.clear()
    assert world.progress() == before


def readers(world: World, topic: str) -> set[str]:
    return {name for name, group in world.groups.items() if topic in group.topics}


@pytest.mark.parametrize("topic", ["trades", "fills", "risk"])
def test_a_topic_made_anew_stops_every_reader(topic: str) -> None:
    world = at_rest(1)
    for place in world.log.places(topic):
        world.log.make_anew(place)
    assert_stops(world, readers(world, topic), "was made anew")


@pytest.mark.parametrize("topic", ["trades", "fills"])
def test_a_topic_made_anew_stops_its_readers_when_the_broker_forgot_their_offsets(
    topic: str,
) -> None:
    world = at_rest(1)
    for place in world.log.places(topic):
        world.log.make_anew(place)
        for group in world.groups.values():  # a broker deletes them with the topic
            group.committed.pop(place, None)
    assert_stops(world, readers(world, topic), "was made anew")


@pytest.mark.parametrize("stage", ["pairs", "joined"])
def test_a_state_topic_made_anew_stops_its_stage(stage: str) -> None:
    world = at_rest(1)
    for place in world.log.places(f"state-{stage}"):
        world.log.make_anew(place)
    assert_stops(world, {stage}, f"state-{stage}")


@pytest.mark.parametrize("topic", ["trades", "fills"])
def test_partitions_added_stop_the_stage(topic: str) -> None:
    world = at_rest(1)
    world.log.counts[topic] = 3
    assert_stops(world, readers(world, topic) - {"sink"}, "partitions were added")
