"""A world enters, what it did wrong leaves: compared with the pure driver and with its own log."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import orjson

from app.core.events import Command, DeadLetter, Inbound, Message, Signal, Snapshot
from app.core.flow import Stage
from app.pipeline import STAGES as RING
from app.replay.driver import Replay
from app.runtime.codec import DecodeError, decode, decode_state, encode, encode_state
from app.runtime.ports import Entry, Place, Stored
from app.runtime.sink import SINK_TOPICS
from app.storage.rows import rows
from app.storage.tables import TABLES
from app.storage.values import Row
from tests.replay.market import INTERVAL
from tests.simulation import ring, toys
from tests.simulation.parts import ObjectionError
from tests.simulation.states import newest_states
from tests.simulation.world import World

LOST = "was lost"

OFFSETS = ("commands_through",)
"""Fields of states that hold an offset: where repeats stand they are other ones."""


@functools.lru_cache(maxsize=2_000)  # more would fill the memory in a long campaign
def remembered(raw: bytes) -> Message:
    """Decode bytes that have been decoded before: every schedule makes the same records."""
    return decode(raw)


class Expected:
    """What the pure driver makes of a scenario.

    Attributes:
        records: Every derived record's bytes by name.
        states: Every durable state, by stage and key.
    """

    def __init__(self, stages: tuple[Stage, ...]) -> None:
        self.replay = Replay(stages)
        self.records: dict[str, bytes] = {}
        self.states: dict[tuple[str, str], Any] = {}

    def finish(self, stages: tuple[Stage, ...]) -> Expected:
        self.replay.run()
        for topic in {topic: None for stage in stages for topic in stage.outputs}:
            for message in self.replay.messages(topic):
                if not isinstance(message.record, Command):
                    self.records[message.name] = encode(message)
        for stage in stages:
            keys = {e.key: None for topic in stage.inputs for e in self.replay.entries(topic)}
            for key in keys:
                machine = self.replay.machine(stage.name, key)
                if machine.revision:
                    self.states[stage.name, key] = plain(encode_state(machine.durable()))
        return self


def plain(body: str) -> Any:
    """Return a state as a document without what only says where records stood."""
    document = orjson.loads(body)
    for name in OFFSETS:
        document.pop(name, None)
    return document


@functools.cache
def expected_ring(seed: int, acts: int) -> Expected:
    """Return what the ring makes when the command acts at the end of interval `acts`."""
    expected = Expected(RING)
    for number in range(ring.INTERVALS + 1):
        if number == acts:
            expected.replay.run()
            expected.replay.feed("signals", ring.COMMAND.account, Message(ring.COMMAND))
        for name, intervals in ring.inputs(seed).items():
            for record in intervals[number] if number < ring.INTERVALS else ():
                expected.replay.feed("trades", name, Message(record))
    return expected.finish(RING)


@functools.cache
def expected_toys(count: int) -> Expected:
    expected = Expected(toys.STAGES)
    for entry in toys.clocks(count):
        expected.replay.feed("trades", entry.key.decode(), decode(entry.value))
    return expected.finish(toys.STAGES)


def acts(world: World) -> int:
    """Return at the end of which interval the command acts: of the first that ends behind it."""
    entry = world.scenario.lanes[-1][0]
    place = world.log.place(entry)
    newest: dict[int, int] = {}
    known: set[str] = set()
    command = -1
    for stored in world.log.ever(place):
        if stored.key != entry.key:
            continue
        message = remembered(stored.value or b"")
        if isinstance(message.record, Command):
            command = stored.offset
        elif isinstance(message.record, Signal) and message.name not in known:
            known.add(message.name)
            newest[message.record.time] = stored.offset
    behind = [time for time, offset in sorted(newest.items()) if offset > command]
    return (behind[0] - ring.START) // INTERVAL - 1 if behind else ring.INTERVALS


def expected(world: World) -> Expected:
    name, number = world.scenario.name.split()
    if name == "toys":
        return expected_toys(int(number))
    return expected_ring(int(number), acts(world))


class DatabaseOracle:
    """Holds the database, at every commit, to the fold of the log up to its own offsets."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._tables: dict[str, dict[tuple[object, ...], Row]] = {name: {} for name in TABLES}
        self._offsets: dict[Place, int] = {}
        world.on_commit = self.check
        world.on_restore = self.rebuild

    def rebuild(self) -> None:
        """Fold the log from its beginning."""
        self._tables = {name: {} for name in TABLES}
        self._offsets = {}
        self.check()

    def check(self) -> None:
        """Fold what the database says that it has taken, and compare; raises ObjectionError."""
        database = self._world.database
        for (topic, number), offset in database.offsets.items():
            place = Place(topic, number)
            start = self._offsets.get(place, 0)
            if offset < start:
                raise ObjectionError(f"sink_offsets of {place} went back to {offset} from {start}")
            for stored in self._world.log.ever(place, start, offset - start):
                for name, row in made_of(stored):
                    self._expect(name, row)
            if offset > self._world.log.ends.get(place, 0):
                raise ObjectionError(f"sink_offsets of {place} are past its end: {offset}")
            self._offsets[place] = offset
        for name, rows_there in database.tables.items():
            if len(rows_there) != len(self._tables[name]):
                raise ObjectionError(
                    f"{name} has {len(rows_there)} rows, its part of the log "
                    f"{len(self._tables[name])}"
                )

    def _expect(self, name: str, row: Row) -> None:
        key = key_of(name, row)
        first = self._tables[name].setdefault(key, row)
        if self._world.database.tables[name].get(key) != first:
            raise ObjectionError(f"{name} does not hold {first}")

    def whole(self) -> Iterator[str]:
        """Yield what the database lacks, or holds besides, when all has come to rest."""
        self.rebuild()
        log = self._world.log
        for topic in SINK_TOPICS:
            for place in log.places(topic):
                held = self._offsets.get(place, 0)
                if held != log.ends.get(place, 0):
                    yield f"the database holds {place} up to {held} of {log.ends[place]}"
        for name, there in self._world.database.tables.items():
            if there != self._tables[name]:
                yield f"{name} is not what the log makes of it"


def key_of(name: str, row: Row) -> tuple[object, ...]:
    table = TABLES[name]
    return tuple(row[table.columns.index(column)] for column in table.key)


def made_of(stored: Stored) -> list[tuple[str, Row]]:
    try:
        message = remembered(stored.value or b"")
    except DecodeError:
        return []
    return rows(Inbound(message, stored.topic, stored.partition, stored.offset))


def objections(world: World) -> list[str]:
    """Return what is wrong when all has come to rest."""
    wanted = expected(world)
    return [
        *of_topics(world, wanted),
        *of_states(world, wanted),
        *of_commits(world),
        *of_others(world, wanted),
    ]


def of_topics(world: World, wanted: Expected) -> Iterator[str]:
    """Yield what differs on the topics as a reader by identity sees them."""
    found: dict[str, bytes] = {}
    for name, value in named(world):
        if found.setdefault(name, value) != value:
            yield f"{name} was repeated with other bytes"
    for name in wanted.records.keys() - found.keys():
        yield f"{name} {LOST}"
    for name in found.keys() - wanted.records.keys():
        yield f"{name} should not be"
    for name in sorted(found.keys() & wanted.records.keys()):
        if found[name] != wanted.records[name]:
            yield f"{name} is {found[name]!r}, should be {wanted.records[name]!r}"


def named(world: World) -> Iterator[tuple[str, bytes]]:
    """Yield each record that a stage has ever written, by name, with its bytes."""
    topics = {topic: None for stage in world.scenario.stages for topic in stage.outputs}
    for place in (place for topic in topics for place in world.log.places(topic)):
        for stored in world.log.ever(place):
            value = stored.value or b""
            if stored.offset == world.poison.get(place):
                continue
            message = remembered(value)
            if not isinstance(message.record, Command):
                yield message.name, value


def of_states(world: World, wanted: Expected) -> Iterator[str]:
    """Yield the states that a successor would load and that are not the pure ones."""
    found: dict[tuple[str, str], Any] = {}
    for stage in world.scenario.stages:
        for place in world.log.places(f"state-{stage.name}"):
            for key, state in newest_states(world.log, place).items():
                found[stage.name, key] = plain(state["body"])
    for at in sorted(wanted.states.keys() | found.keys()):
        if found.get(at) != wanted.states.get(at):
            yield f"the state of {at} is {found.get(at)}, should be {wanted.states.get(at)}"


def of_commits(world: World) -> Iterator[str]:
    """Yield what was committed past what is needed, or past the end."""
    for group in world.groups.values():
        for member in group.members:
            needed = member.intake.committable()
            for partition in getattr(member.intake, "_partitions", {}).values():
                for topic, offset in partition.needs().items():
                    needed[Place(topic, partition.number)] = offset
            for place, offset in needed.items():
                committed = group.committed.get(place, 0)
                if committed > offset:
                    yield f"{group.name} committed {place} at {committed}, but needs {offset}"
        for place, offset in group.committed.items():
            if offset > world.log.ends.get(place, 0):
                yield f"{group.name} committed {place} at {offset}, past its end"


def rolled_forward(world: World, snapshot: Snapshot) -> Any:
    """Return the state that a snapshot's machine comes to with all that it still needs."""
    (stage,) = [stage for stage in world.scenario.stages if stage.name == snapshot.stage]
    machine = stage.machine(snapshot.key, decode_state(stage.state, snapshot.body))
    for topic in stage.inputs:
        place = world.log.place(Entry(topic, snapshot.key.encode(), b""))
        for stored in world.log.ever(place, snapshot.needs[topic]):
            if stored.key == snapshot.key.encode() and stored.value != ring.GARBAGE:
                message = remembered(stored.value or b"")
                machine.take(Inbound(message, topic, place.partition, stored.offset))
    return plain(encode_state(machine.durable()))


def of_others(world: World, wanted: Expected) -> Iterator[str]:
    """Yield what is wrong with snapshots and dead letters."""
    for place in world.log.places("snapshots"):
        for stored in world.log.ever(place):
            record = remembered(stored.value or b"").record
            assert isinstance(record, Snapshot)
            if rolled_forward(world, record) != wanted.states[record.stage, record.key]:
                yield f"the snapshot of {record.stage}/{record.key} leads to another state"
    letters: dict[str, bytes | None] = {}
    for stored in world.log.ever(Place("dead-letters", 0)):
        record = remembered(stored.value or b"").record
        assert isinstance(record, DeadLetter)
        if letters.setdefault(record.name(), stored.value) != stored.value:
            yield f"{record.name()} was repeated with other bytes"
    garbage = [entry for lane in world.scenario.lanes for entry in lane if entry.value[:1] != b"{"]
    if len(letters) != len(garbage):
        yield f"{len(letters)} dead letters for {len(garbage)} times bytes that are no record"
