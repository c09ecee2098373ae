"""The gap that stands for lost trades: who was behind goes on, who was not sees nothing of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.events import Clock, Gap, Record, Trades
from app.core.tape import Late, Passed, Run, Tape, TapeState
from app.market.state import AccountJoin, FeedState, JoinStep, OpenGap
from app.runtime.remains import Reader, UnrecordableError, gaps
from tests.core import streams
from tests.core.builders import INSTRUMENT, MINUTE, START, clock, epoch, join, leave, trades

JOINED = AccountJoin("paper", 1, START + MINUTE, 1, JoinStep.JOINED)


def started(next_id: int = 1, interval: int = MINUTE) -> Tape:
    tape = Tape()
    tape.adopt(epoch(interval=interval))
    assert tape.join(join(interval, next_id))
    return tape


def read(tape: Tape, records: Iterable[Record]) -> list[Any]:
    """Return what was new: trades with their ids, ends of intervals with whether they are whole."""
    found: list[Any] = []
    for record in records:
        for step in tape.take(record):
            if isinstance(step, Passed):
                found.append((step.time, tape.state.whole(step.time)))
            elif isinstance(record, Trades) and isinstance(step, Run):
                found += record.id[step.start : step.stop]
            elif isinstance(record, Trades) and isinstance(step, Late):
                found.append(-record.id[step.index])
    return found


def feed_of(records: Iterable[Record]) -> FeedState:
    """Return what a feed that has published the records remembers."""
    state = FeedState(INSTRUMENT, last_id=streams.FIRST_ID - 1, last_clock=START, joins=(JOINED,))
    for record in records:
        state = _fed(state, record)
    return state


def _fed(state: FeedState, record: Record) -> FeedState:
    last_id = state.last_id or 0
    if isinstance(record, Clock):
        return replace(state, last_clock=max(state.last_clock, record.time))
    if isinstance(record, Gap):
        opened = OpenGap(
            record.first_id, record.last_id, record.from_time, record.to_time, record.reason
        )
        return replace(state, last_id=record.last_id, gaps=(*state.gaps, opened))
    if isinstance(record, Trades) and record.id[0] > last_id:
        last_time = max(state.last_time, *record.time)
        return replace(state, last_id=record.id[-1], last_time=last_time)
    return state


def behind(state: TapeState, left: Iterable[Record], stage: str = "candles") -> Reader:
    reader = Reader(stage, INSTRUMENT, state, 0)
    for offset, record in enumerate(left):
        reader.take(offset, record)
    return reader


@dataclass(frozen=True)
class Story:
    """What was read, lost, left and is still to come."""

    read: list[Record]
    lost: list[Record]
    left: list[Record]
    to_come: list[Record]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    happened = draw(streams.happenings(30))
    records: list[Record] = [
        streams.record([each]) if isinstance(each, streams.Trade) else each for each in happened
    ]
    cuts = sorted(draw(st.integers(0, len(records))) for _ in range(3))
    parts = [records[a:b] for a, b in zip([0, *cuts], [*cuts, len(records)], strict=True)]
    return Story(*parts)


def ids(found: Iterable[Any], after: int) -> set[int]:
    """Return the trades that were new, in order or late, of those after an id."""
    return {abs(each) for each in found if isinstance(each, int) and abs(each) > after}


def closings(found: Iterable[Any], after: int) -> dict[int, bool]:
    """Return the ends of intervals that begin after a time, with whether they are whole."""
    passed = [each for each in found if isinstance(each, tuple)]
    return {end: whole for end, whole in passed if end - streams.INTERVAL > after}


@settings(max_examples=80, deadline=None)
@given(stories())
def test_after_its_gap_a_reader_that_was_behind_stands_where_the_others_do(story: Story) -> None:
    other, late = (started(streams.FIRST_ID, streams.INTERVAL) for _ in range(2))
    published = [*story.read, *story.lost, *story.left]
    read(late, story.read)
    read(other, published)
    feed = feed_of(published)
    found = gaps(feed, [behind(late.state, story.left)])
    before = other.state
    assert read(other, found) == []
    assert other.state == before  # wholly behind: nothing at all
    read(late, [*story.left, *found])
    assert late.state.next_id == other.state.next_id
    theirs, ours = (read(tape, story.to_come) for tape in (other, late))
    assert ids(theirs, feed.last_id or 0) == ids(ours, feed.last_id or 0)
    for loss in found:
        end = max(loss.to_time, other.state.gapped_before - 1)
        assert closings(ours, end) == closings(theirs, end)
        touched = closings(ours, 0).keys() - closings(ours, loss.to_time).keys()
        assert not any(closings(ours, 0)[time] for time in touched)


@settings(max_examples=60, deadline=None)
@given(stories())
def test_what_stands_already_is_not_recorded_again(story: Story) -> None:
    tape = started(streams.FIRST_ID, streams.INTERVAL)
    read(tape, story.read)
    feed = feed_of([*story.read, *story.lost, *story.left])
    found = gaps(feed, [behind(tape.state, story.left)])
    assert len(found) <= 1
    assert gaps(feed, [behind(tape.state, [*story.left, *found])]) == []


def many(first: int, last: int, time: int) -> Trades:
    return trades(*((each, time, "1", "1") for each in range(first, last + 1)))


def feed(last_id: int, last_time: int, last_clock: int, **more: Any) -> FeedState:
    fields = {"joins": (JOINED,)} | more
    return FeedState(
        INSTRUMENT,
        last_id=last_id,
        last_time=START + last_time,
        last_clock=START + last_clock,
        **fields,
    )


def test_it_reaches_from_the_next_trade_of_who_is_furthest_behind() -> None:
    left = [many(20, 30, 5 * MINUTE)]
    tapes = [started(), started()]
    read(tapes[0], [many(1, 9, 0)])
    read(tapes[1], [many(1, 5, 0), many(6, 6, MINUTE)])
    readers = [behind(tape.state, left, stage) for tape, stage in zip(tapes, "ab", strict=True)]
    (found,) = gaps(feed(30, 5 * MINUTE + 7, 5 * MINUTE), readers)
    assert (found.first_id, found.last_id, found.reason) == (7, 30, "retention")
    assert (found.from_time, found.to_time) == (START, START + 5 * MINUTE + 7)
    for tape in tapes:
        closed = read(tape, [*left, found, many(31, 31, 7 * MINUTE)])
        wanted = [START + minute * MINUTE for minute in range(1, 8)]
        wanted = [time for time in wanted if (time, True) in closed or (time, False) in closed]
        assert [whole for time, whole in closed[:-1]] == [
            time > START + 6 * MINUTE for time in wanted
        ]


def test_an_interval_that_a_clock_began_after_the_last_trade_is_whole() -> None:
    tape = started()
    (found,) = gaps(feed(30, 2 * MINUTE, 4 * MINUTE), [behind(tape.state, [])])
    clocks = [clock(MINUTE * minute, 30) for minute in (4, 5)]
    closed = read(tape, [found, *clocks])
    assert [whole for _, whole in closed] == [False, False, False, False, True]


def test_who_lacks_no_trade_needs_no_gap() -> None:
    tape = started()
    read(tape, [many(1, 9, 0)])
    assert gaps(feed(9, 0, 0), [behind(tape.state, [])]) == []
    assert gaps(feed(12, 0, 0), [behind(tape.state, [many(8, 12, 5)])]) == []


def test_a_gap_that_is_still_open_is_told_again() -> None:
    tape = started()
    read(tape, [many(1, 9, 0)])
    open_gap = OpenGap(10, None, START, START + 3 * MINUTE, "no connection")
    there = feed(9, 0, 3 * MINUTE, gaps=(open_gap,))
    found = gaps(there, [behind(tape.state, [])])
    assert found == [Gap(INSTRUMENT, 10, None, START, START + 3 * MINUTE, "no connection")]
    assert gaps(there, [behind(tape.state, found)]) == []


def test_what_is_left_from_the_join_on_is_enough() -> None:
    left = [epoch(), join(MINUTE, 5), many(5, 9, 0)]
    assert gaps(feed(9, 0, 0), [behind(TapeState(), left)]) == []


LEFT = replace(JOINED, step=JoinStep.LEFT)
OTHER = replace(JOINED, account="shadow")
SECOND = replace(JOINED, number=2)
TOLD = [epoch(), join(MINUTE, 1)]


@pytest.mark.parametrize(
    ("joins", "before", "left"),
    [
        ((JOINED,), [], []),  # its join is gone
        ((JOINED,), TOLD[:1], TOLD[1:]),  # what stood between epoch and join may be
        ((JOINED, OTHER), TOLD, []),  # another's join is
        ((SECOND,), TOLD, [epoch(2), join(MINUTE, 1, epoch=2)]),  # a leave may be
        ((LEFT,), TOLD, []),  # its leave is
        ((JOINED,), [], [join(MINUTE, 1)]),  # its epoch is
    ],
)
def test_what_steers_can_not_be_made_up_for(
    joins: tuple[AccountJoin, ...], before: list[Any], left: list[Any]
) -> None:
    tape = Tape()
    for record in before:
        tape.join(record) if record.TYPE == "join" else tape.adopt(record)
    with pytest.raises(UnrecordableError, match=r"what candles has lost of .* Start a new run"):
        gaps(feed(9, 0, 0, joins=joins), [behind(tape.state, left)])


def test_a_leave_that_is_left_is_enough() -> None:
    tape = started()
    reader = behind(tape.state, [leave(2 * MINUTE)])
    assert gaps(feed(0, 0, 0, joins=(LEFT,)), [reader]) == []


def test_without_the_feed_s_state_nobody_knows_where_it_ends() -> None:
    with pytest.raises(UnrecordableError, match="market data has no state"):
        gaps(None, [behind(TapeState(), [])])
