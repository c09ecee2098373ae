"""Read piece by piece, from the beginning or from snapshots, a run has the verdict of the whole."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import asdict
from typing import Any

import orjson
import pytest

from app.commands.verify import incomplete
from app.core.events import Identity, Inbound, Message
from app.core.flow import HoleError, Machine, Stage
from app.pipeline import STAGES
from app.replay.recorded import event_time
from app.replay.verify import Verdict, follow, verify, volume
from app.replay.verify.lines import Line, hash_of
from app.replay.verify.starting import starts
from app.runtime.admission import admit
from app.runtime.codec import decode, encode
from app.runtime.ports import Entry, Place, Stored
from tests.replay.market import INTERVAL, Market, end
from tests.replay.recording import PARTITIONS, MemoryTopics, recorded
from tests.replay.test_ring import TOPICS

INTERVALS = 30
DERIVED = tuple(dict.fromkeys(topic for stage in STAGES for topic in stage.outputs))


@pytest.fixture(autouse=True)
def _snapshots_at_every_second_decision_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.runtime.stage.DAY", 2 * INTERVAL)


@pytest.fixture
async def run(seed: int) -> MemoryTopics:
    return await recorded(Market(3, INTERVALS), random.Random(seed), lead=1 + seed % 3)


class Plain:
    """Everything in memory, by name: what a verdict has to say, in the fewest words."""

    def __init__(self, log: MemoryTopics) -> None:
        self.stands: dict[tuple[str, str], bytes] = {}
        self.last: Counter[tuple[str, str, str]] = Counter()
        self.differs: Counter[tuple[str, str]] = Counter()
        self.repeats = self.pending = 0
        for topic in DERIVED:
            for number in range(PARTITIONS):
                for stored in log.stored.get(Place(topic, number), []):
                    self._stands(topic, stored)
        self.unmade = dict(self.stands)
        self.given_up: list[str] = []
        for stage in STAGES:
            for number in range(PARTITIONS):
                self._step(log, stage, number)
        for topic, name in self.unmade:
            if Identity.parse(name).sender not in self.given_up:
                self.differs[topic, name] += 1

    def _stands(self, topic: str, stored: Stored) -> None:
        message = decode(stored.value)
        if message.identity is None:
            return
        raw, identity = stored.value or b"", message.identity
        first = self.stands.setdefault((topic, message.name), raw)
        line = (topic, identity.sender, identity.destination)
        if identity.number <= self.last[line]:
            self.repeats += 1
            self.differs[topic, message.name] += first != raw
        self.last[line] = max(self.last[line], identity.number)

    def _step(self, log: MemoryTopics, stage: Stage, number: int) -> None:
        machines: dict[str, Machine] = {}
        for topic in stage.inputs:  # one after the other: their order must not matter
            for stored in log.stored.get(Place(topic, number), []):
                message, key = admit(stored, stage), (stored.key or b"").decode()
                if f"{stage.name}/{key}" in self.given_up or not isinstance(message, Message):
                    continue
                machine = machines.setdefault(key, stage.machine(key, None))
                try:
                    made = machine.take(Inbound(message, topic, number, stored.offset))
                except HoleError:
                    self.given_up.append(f"{stage.name}/{key}")
                    continue
                for output in made:
                    self._made(output.topic, output.message)

    def _made(self, topic: str, message: Message) -> None:
        identity, place = message.identity, (topic, message.name)
        assert identity is not None
        stands = self.stands.get(place)
        self.unmade.pop(place, None)
        if stands is not None:
            self.differs[place] += stands != encode(message)
        elif identity.number > self.last[topic, identity.sender, identity.destination]:
            self.pending += 1
        else:
            self.differs[place] += 1


def assert_like(verdict: Verdict, plain: Plain) -> None:
    found = Counter((each.topic, each.name) for each in verdict.differences)
    assert found == +plain.differs
    assert verdict.different == plain.differs.total()
    assert (verdict.repeats, verdict.pending) == (plain.repeats, plain.pending)
    assert verdict.counts == {
        topic: sum(each == topic for each, _ in plain.stands) for topic in DERIVED
    }
    for topic in DERIVED:
        total = sum(hash_of(raw) for (each, _), raw in plain.stands.items() if each == topic)
        assert verdict.digests[topic] == f"{total % (1 << 128):032x}"
    times = [each.time for each in verdict.differences]
    assert times == sorted(times)


def changed(raw: bytes) -> bytes:
    """Return a record with another origin, and another price where it has one."""
    fields: dict[str, Any] = orjson.loads(raw)
    fields["origin"] = "trades/SIM:XXXUSDT/1"
    if isinstance(fields.get("close"), str):
        fields["close"] = fields["high"]
    return orjson.dumps(fields)


def change(log: MemoryTopics, draw: random.Random, kinds: str, since: int = 0) -> None:
    """Drop, alter or repeat derived records that are drawn."""
    places = [place for place in log.stored if place.topic in DERIVED]
    for kind in kinds:
        place = draw.choice(places)
        partition = [*log.stored[place]]
        derived = [
            index
            for index, stored in enumerate(partition)
            if (message := decode(stored.value)).identity is not None
            and event_time(message) > since
        ]
        index = draw.choice(derived)
        chosen = partition[index]
        value = chosen.value or b""
        if kind == "d":
            del partition[index]
        elif kind == "r":
            partition.insert(draw.randrange(index, len(partition)) + 1, chosen)
        else:
            altered = Stored(*place, 0, chosen.key, changed(value))
            if kind == "a":
                partition[index] = altered
            else:
                partition.insert(draw.randrange(index, len(partition)) + 1, altered)
        log.stored[place] = [
            Stored(*place, offset, each.key, each.value) for offset, each in enumerate(partition)
        ]


@pytest.mark.parametrize("seed", range(2))
async def test_a_run_is_equal_and_counts_as_a_whole(run: MemoryTopics) -> None:
    verdict = await verify(run, STAGES)
    assert_like(verdict, Plain(run))
    assert verdict.differences == []
    assert verdict.unproven == verdict.truncated == {}
    assert verdict.since is None
    assert sum(verdict.counts.values()) == len(run.derived())
    inputs = [topic for stage in STAGES for topic in stage.inputs]
    assert await volume(run, STAGES) == sum(
        len(partition)
        for place, partition in run.stored.items()
        for _ in range(inputs.count(place.topic))
    )


@pytest.mark.parametrize(
    ("seed", "kinds", "window"),
    [
        (0, "d", 256),
        (1, "a", 256),
        (2, "rR", 256),
        (3, "dar", 256),
        (4, "rrR", 1),
        (5, "aRd", 1),
        (6, "Ra", 1),
    ],
)
async def test_what_was_changed_is_named_as_with_everything_in_memory(
    run: MemoryTopics, seed: int, kinds: str, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.replay.verify.lines.WINDOW", window)
    change(run, random.Random(seed + 100), kinds)
    assert_like(await verify(run, STAGES), Plain(run))


@pytest.mark.parametrize("seed", range(3))
async def test_from_a_time_on_the_tail_has_the_verdict_of_the_whole(
    run: MemoryTopics, seed: int
) -> None:
    time = end(15 + seed) + seed
    first = await verify(run, STAGES, time)
    assert first.differences == []
    assert first.unproven == {}
    assert first.since is not None
    assert end(12) < first.since <= time
    assert 0 < sum(first.counts.values()) < len(run.derived())
    # After the time only, since snapshots hold what the run made of the records as they were.
    change(run, random.Random(seed), "aaa", since=time + INTERVAL)
    whole, tail = await verify(run, STAGES), await verify(run, STAGES, time)
    assert whole.different > 0
    sent = {}
    for stage in STAGES:
        begin = await starts(run, stage, await bounds(run, stage), time)
        sent |= {(stage.name, key): numbers for key, numbers in begin.sent().items()}
    assert [asdict(each) for each in tail.differences] == [
        asdict(each)
        for each in whole.differences
        if (identity := Identity.parse(each.name)).number
        > sent[identity.stage, identity.source].get(identity.destination, 0)
    ]


async def bounds(run: MemoryTopics, stage: Stage) -> dict[Place, tuple[int, int]]:
    places = [Place(topic, number) for topic in stage.inputs for number in range(PARTITIONS)]
    return {place: await run.bounds(place) for place in places}


async def truncate(run: MemoryTopics, topics: tuple[str, ...], time: int) -> None:
    """Take what no snapshot at a time needs."""
    for stage in STAGES:
        begin = await starts(run, stage, await bounds(run, stage), time)
        for place, (first, _) in begin.bounds.items():
            if place.topic in topics:
                run.gone[place] = min(first, run.gone.get(place, first))


@pytest.mark.parametrize("seed", [0])
@pytest.mark.parametrize("topics", [("trades",), ("trades", *TOPICS)])
async def test_where_the_beginning_is_gone_it_starts_at_the_oldest_snapshots(
    run: MemoryTopics, topics: tuple[str, ...]
) -> None:
    await truncate(run, topics, end(12))
    verdict = await verify(run, STAGES)
    assert verdict.differences == []
    assert verdict.unproven == {}
    assert verdict.since is not None
    assert verdict.since <= end(14)
    inputs = {topic for stage in STAGES for topic in stage.inputs}
    assert {place.partition("/")[0] for place in verdict.truncated} == inputs & {*topics}
    target = next(
        index
        for index, stored in enumerate(run.stored[Place("candles", 0)])
        if event_time(decode(stored.value)) > end(20)
    )
    stored = run.stored[Place("candles", 0)][target]
    run.stored[Place("candles", 0)][target] = Stored(
        "candles", 0, target, stored.key, changed(stored.value or b"")
    )
    assert (await verify(run, STAGES)).differences[0].name == decode(stored.value).name


@pytest.mark.parametrize("seed", [1])
async def test_without_a_snapshot_it_says_which_inputs_begin_late(run: MemoryTopics) -> None:
    await truncate(run, ("trades",), end(12))
    run.stored = {place: each for place, each in run.stored.items() if place.topic != "snapshots"}
    verdict = await verify(run, STAGES)
    assert verdict.differences == []
    assert {sender.partition("/")[0] for sender in verdict.unproven} == {"candles", "execution"}
    sentence = incomplete(verdict)
    for place, first in run.gone.items():
        assert f"{place.topic}/{place.partition} at offset {first}" in sentence
    assert verdict.counts["portfolio"] > 10


@pytest.mark.parametrize("seed", [2])
async def test_no_more_is_read_ahead_than_stands_in_another_order(
    run: MemoryTopics, monkeypatch: pytest.MonkeyPatch
) -> None:
    most, original = 0, Line.note

    def watched(line: Line, number: int, value: int) -> bool:
        nonlocal most
        most = max(most, line.last - line.made)
        return original(line, number, value)

    monkeypatch.setattr(Line, "note", watched)
    verdict = await verify(run, STAGES)
    assert verdict.differences == []
    assert 0 < most < sum(verdict.counts.values()) / 10


class Growing(MemoryTopics):
    """A run as it grew: only its first `count` records are there yet."""

    def __init__(self, entries: list[Entry]) -> None:
        super().__init__()
        self._entries = entries

    def grow(self, count: int) -> None:
        for entry in self._entries[:count]:
            self.put(entry)
        del self._entries[:count]


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    """What the run appends, in the order in which it does."""
    found: list[Entry] = []
    put = MemoryTopics.put

    def noted(log: MemoryTopics, entry: Entry) -> int:
        if not isinstance(log, Growing):
            found.append(entry)
        return put(log, entry)

    monkeypatch.setattr(MemoryTopics, "put", noted)
    return found


@pytest.mark.parametrize("seed", range(2))
async def test_followed_as_it_grows_it_has_the_verdict_of_the_whole(
    entries: list[Entry], run: MemoryTopics
) -> None:
    growing = Growing(entries)
    draw, through, pending = random.Random(1), [0], 0
    async for verdict in follow(growing, STAGES):
        assert verdict.differences == []
        assert verdict.unproven == {}
        assert (verdict.through or 0) >= through[-1]
        through.append(verdict.through or 0)
        pending = max(pending, verdict.pending)
        if not entries:
            break
        growing.grow(draw.randrange(1, 900))
    whole = await verify(run, STAGES)
    assert asdict(verdict) == asdict(whole)
    assert len({*through}) > 5
    assert pending > 0


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("kind", ["altered", "dropped"])
async def test_followed_it_ends_at_the_first_difference(
    entries: list[Entry], run: MemoryTopics, kind: str
) -> None:
    assert run.stored
    target = next(
        index
        for index, entry in enumerate(entries)
        if entry.topic == "risk" and index > len(entries) // 2
    )
    name = decode(entries[target].value).name
    if kind == "dropped":
        del entries[target]
    else:
        old = entries[target]
        entries[target] = Entry(old.topic, old.key, changed(old.value), old.partition)
    growing = Growing(entries)
    growing.grow(target)
    found = []
    async for verdict in follow(growing, STAGES):
        found.append([each.name for each in verdict.differences])
        assert growing._entries
        growing.grow(150)
    assert found[0] == []
    assert found[-1][0] == name
