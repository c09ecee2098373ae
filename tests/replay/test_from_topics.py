"""A replay of a run's topics, whole and from its snapshots: the same records, byte for byte."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from app.core.events import Output, Snapshot
from app.errors import LockstepError
from app.pipeline import STAGES
from app.replay.cut import Cut
from app.replay.play import Span, play
from app.replay.sources.snapshots import nearest
from app.replay.sources.topics import commands, entering
from app.runtime.codec import decode, encode
from app.runtime.ports import Place
from tests.replay.market import INTERVAL, START, Market, end
from tests.replay.recording import PARTITIONS, MemoryTopics, recorded
from tests.replay.test_ring import FLATTEN, RESUME

INTERVALS = 40
SEEDS = range(3)


@pytest.fixture(autouse=True)
def _snapshots_at_every_second_decision_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.runtime.stage.DAY", 2 * INTERVAL)


@pytest.fixture
async def run(seed: int) -> MemoryTopics:
    return await recorded(Market(2, INTERVALS), random.Random(seed), lead=1 + seed)


async def replayed(
    run: MemoryTopics, span: Span | None = None, start: Cut | None = None
) -> dict[str, bytes]:
    span = span or Span()
    made: list[Output] = []
    source = entering(run, start, span.moments)
    await play(STAGES, source, made.append, start=start, span=span)
    found = {output.message.name: encode(output.message) for output in made}
    assert len(found) == len(made)
    return found


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_run_and_its_replay_are_the_same_run(run: MemoryTopics) -> None:
    assert await replayed(run) == run.derived()
    assert len(await commands(run)) == 2


@pytest.mark.parametrize("seed", SEEDS)
async def test_from_a_snapshot_on_it_makes_what_it_makes_from_the_beginning(
    run: MemoryTopics,
) -> None:
    used = set()
    for time in (*range(end(1), end(INTERVALS), 7 * INTERVAL - 1_700), end(30), end(30) + 1):
        start = await nearest(run, STAGES, time)
        span = Span(time)
        assert await replayed(run, span, start) == await replayed(run, span)
        used.add(None if start is None else max(state.time for state in start.states))
    assert len(used) > 3
    assert max(time for time in used if time is not None) > end(30)


@pytest.mark.parametrize("seed", [0])
async def test_spans_that_meet_are_the_whole(run: MemoryTopics) -> None:
    moments = (None, end(7), end(9) + 4_321, end(26), None)
    parts = [await replayed(run, Span(start, stop)) for start, stop in pairwise(moments)]
    assert sum(map(len, parts)) == len(run.derived())
    assert {name: raw for part in parts for name, raw in part.items()} == run.derived()


@pytest.mark.parametrize("seed", [1])
async def test_what_retention_took_before_a_snapshot_is_not_missed(run: MemoryTopics) -> None:
    time = end(30)
    expected = await replayed(run, Span(time))
    start = await nearest(run, STAGES, time)
    assert start is not None
    for number in range(PARTITIONS):
        place = Place("trades", number)
        run.gone[place] = min(
            state.needs["trades"]
            for state in start.states
            if "trades" in state.needs
            and run.partition_for(state.key.encode(), PARTITIONS) == number
        )
        assert run.gone[place] > 100
    assert await replayed(run, Span(time), await nearest(run, STAGES, time)) == expected

    with pytest.raises(LockstepError, match="retention has left"):
        await replayed(run, Span(end(3)), await nearest(run, STAGES, end(3)))
    with pytest.raises(LockstepError, match=r"what SIM:.* began with is gone"):
        await replayed(run)


@pytest.mark.parametrize("seed", [2])
async def test_a_topic_that_lost_what_was_on_its_way_makes_it_start_earlier(
    run: MemoryTopics,
) -> None:
    start = await nearest(run, STAGES, end(20))
    assert start is not None
    assert start.in_flight
    for number in range(PARTITIONS):
        for topic in ("candles", "signals", "fills", "orders"):
            place = Place(topic, number)
            run.gone[place] = (await run.bounds(place))[1]
    with_less = await nearest(run, STAGES, end(20))
    assert with_less is None or len(with_less.in_flight) < len(start.in_flight)


@pytest.mark.parametrize("seed", [3])
async def test_before_the_first_snapshot_there_is_none(run: MemoryTopics) -> None:
    assert await nearest(run, STAGES, START) is None


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_command_that_had_acted_by_the_start_acts_no_more(run: MemoryTopics) -> None:
    start = await nearest(run, STAGES, end(30))
    assert start is not None
    again = await nearest(run, STAGES, end(30))
    assert await commands(run, start) == []
    assert start == again  # reading has left the states as they were


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("missing", [FLATTEN, RESUME])
async def test_no_cut_has_a_command_among_what_was_on_its_way(
    run: MemoryTopics, missing: int
) -> None:
    """A batch that jumps over the time of a snapshot leaves a key with an older one."""
    for number in range(PARTITIONS):
        place = Place("snapshots", number)
        run.stored[place] = [
            stored
            for stored in run.stored[place]
            if not (
                isinstance(record := decode(stored.value or b"").record, Snapshot)
                and (record.stage, record.key) == ("portfolio", "alpha")
                and record.time >= end(missing)
            )
        ]
    time = end(missing + 5)
    start = await nearest(run, STAGES, time)
    assert await replayed(run, Span(time), start) == await replayed(run, Span(time))
