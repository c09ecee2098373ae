"""Partitions become one stream in event-time order, and records of trades can be split."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.events import Clock, Message, Trades
from app.replay.sources.entering import Chunks, Entering, merged_chunks, split

NAME = "SIM:AAAUSDT"
Lanes = list[list[list[int]]]
LANES = st.lists(
    st.lists(st.lists(st.integers(0, 50), min_size=1), max_size=5), min_size=1, max_size=4
)


def lanes_of(drawn: Lanes) -> list[list[list[Entering]]]:
    """Return lanes of pieces whose times never fall."""
    made = []
    for number, pieces in enumerate(drawn):
        time, offset, lane = 0, 0, []
        for piece in pieces:
            found = []
            for step in piece:
                time, offset = time + step, offset + 1
                clock = Message(Clock(NAME, time, 0, 0))
                found.append(Entering(time, f"t{number}", NAME, clock, offset))
            lane.append(found)
        made.append(lane)
    return made


async def read(pieces: list[list[Entering]]) -> Chunks:
    for piece in pieces:
        yield piece


@settings(max_examples=100, deadline=None)
@given(drawn=LANES)
async def test_pieces_are_merged_by_time_and_each_lane_keeps_its_order(drawn: Lanes) -> None:
    first = [step for piece in drawn[0] for step in piece]
    lanes = lanes_of([[first] if first else [], *drawn[1:]])
    whole = [one async for chunk in merged_chunks([read(lane) for lane in lanes]) for one in chunk]
    assert [one.time for one in whole] == sorted(one.time for one in whole)
    for number, lane in enumerate(lanes):
        of_lane = [one for one in whole if one.topic == f"t{number}"]
        assert of_lane == [one for piece in lane for one in piece]
    # A lane that is there at once, as that of the commands, goes first at every time.
    turns = [one.topic == "t0" for one in whole]
    for before, after in pairwise(range(len(whole))):
        assert turns[before] or not turns[after] or whole[before].time < whole[after].time


@settings(max_examples=100, deadline=None)
@given(
    times=st.lists(st.integers(0, 60), min_size=1, max_size=20).map(sorted),
    moments=st.lists(st.integers(0, 60), max_size=3),
)
def test_parts_are_the_whole_and_lie_on_one_side(times: list[int], moments: list[int]) -> None:
    ids = tuple(range(1, len(times) + 1))
    ones = (Decimal(1),) * len(times)
    record = Trades(NAME, ids, ids, ids, tuple(times), ones, ones, (True,) * len(times), 7)
    parts = list(split(Entering(times[-1], "trades", NAME, Message(record), 3), moments))
    found = [part.message.record for part in parts]
    assert [one for each in found for one in each.id] == list(ids)  # type: ignore[attr-defined]
    assert [part.time for part in parts] == sorted(part.time for part in parts)
    for part, each in zip(parts, found, strict=True):
        assert isinstance(each, Trades)
        assert (part.time, part.offset, each.age) == (each.time[-1], 3, 7)
        assert not any(each.time[0] < moment <= each.time[-1] for moment in moments)


@settings(max_examples=100, deadline=None)
@given(
    times=st.lists(st.integers(0, 60), min_size=1, max_size=20).map(sorted),
    moments=st.lists(st.integers(0, 60), max_size=3),
    reached=st.integers(0, 70),
)
def test_what_comes_again_or_late_never_goes_back(
    times: list[int], moments: list[int], reached: int
) -> None:
    """A record is sent again after a crash: its first part has its place behind what came since."""
    ids = tuple(range(1, len(times) + 1))
    ones = (Decimal(1),) * len(times)
    record = Trades(NAME, ids, ids, ids, tuple(times), ones, ones, (True,) * len(times), 7)
    whole = Entering(max(reached, times[-1]), "trades", NAME, Message(record), 3)
    parts = list(split(whole, moments, reached))
    assert [reached, *(part.time for part in parts)] == sorted(
        [reached, *(part.time for part in parts)]
    )
    assert parts[-1].time == whole.time
    for part in parts[:-1]:
        assert any(part.time < moment for moment in moments)
    assert [one for part in parts for one in part.message.record.id] == list(ids)  # type: ignore[attr-defined]
