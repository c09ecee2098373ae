"""The tape: what is new in a stream of trades, clocks and gaps, and where it stands."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.events import Gap, Record, Trades
from app.core.tape import KEPT, Late, Passed, Run, StreamError, Tape, TapeState
from app.runtime.codec import decode_state, encode_state
from tests.core import streams
from tests.core.builders import INSTRUMENT, MINUTE, START, clock, epoch, gap, join, leave, trades

NAME = f"trades/{INSTRUMENT}"


def started(next_id: int = 1, *, interval: int = MINUTE, time: int | None = None) -> Tape:
    tape = Tape()
    tape.adopt(epoch(interval=interval))
    assert tape.join(join(interval if time is None else time, next_id))
    return tape


def taken(tape: Tape, *records: Record) -> list[Any]:
    """Return what is new: ids of trades in order, -id of late ones, ends of intervals as text."""
    found: list[Any] = []
    for record in records:
        for step in tape.take(record):
            if isinstance(step, Passed):
                found.append(f"{step.time - START}")
            elif isinstance(record, Trades):
                if isinstance(step, Run):
                    found += record.id[step.start : step.stop]
                elif isinstance(step, Late):
                    found.append(-record.id[step.index])
    return found


def rows(*ids: int, time: int = 0) -> Trades:
    return trades(*((each, time, "1", "1") for each in ids))


def test_nothing_is_taken_before_a_join() -> None:
    tape = Tape()
    assert taken(tape, rows(1), clock(MINUTE, 0), gap(1, 2, 0, 1), gap(1, None, 0, 1)) == []
    assert tape.state == TapeState()
    assert tape.waiting() == ""


def test_trades_are_taken_in_id_order_from_the_join_on() -> None:
    assert taken(started(5), rows(3, 4, 5, 6), rows(7)) == [5, 6, 7]


def test_repeats_are_skipped_anywhere() -> None:
    assert taken(started(), rows(1, 2), rows(1, 2), rows(2, 3), rows(1), rows(4)) == [1, 2, 3, 4]


def test_a_jump_is_skipped_until_it_is_filled() -> None:
    tape = started()
    assert taken(tape, rows(1), rows(3, 4)) == [1]
    assert tape.waiting() == "trade 2, before 4"
    assert taken(tape, rows(2), rows(3, 4)) == [2, 3, 4]
    assert tape.waiting() == ""


def test_a_jump_inside_a_record_is_skipped_from_there_on() -> None:
    assert taken(started(), rows(1, 2, 4, 5), rows(3, 4), rows(5)) == [1, 2, 3, 4, 5]


def test_a_trade_at_the_end_of_an_interval_closes_it() -> None:
    tape = started()
    assert taken(tape, rows(1, time=MINUTE - 1), rows(2, time=MINUTE)) == [1, "60000", 2]
    assert taken(tape, rows(3, time=3 * MINUTE + 5)) == ["120000", "180000", 3]


def test_one_record_may_span_several_intervals() -> None:
    record = trades(*((1 + k, k * MINUTE // 2, "1", "1") for k in range(5)))
    assert taken(started(), record) == [1, 2, "60000", 3, 4, "120000", 5]


def test_the_state_between_two_intervals_holds_nothing_of_the_next() -> None:
    tape = started()
    for step in tape.take(trades((1, 0, "1", "1"), (2, MINUTE, "1", "1"), (3, MINUTE, "1", "1"))):
        if isinstance(step, Passed):
            assert (tape.state.next_id, tape.state.closed) == (2, START + MINUTE)
            assert step.origin == f"{NAME}/2"
    assert tape.state.next_id == 4


def test_a_clock_counts_once_its_last_trade_was_taken() -> None:
    tape = started()
    assert taken(tape, clock(MINUTE, 1)) == []
    assert tape.waiting() == "trade 1, before 1"
    assert taken(tape, rows(1), clock(MINUTE + 5, 1), clock(MINUTE + 9, 1)) == [1, "60000"]


def test_a_clock_counts_once_a_gap_covers_its_last_trade() -> None:
    assert taken(started(), clock(MINUTE, 2), gap(1, 2, 0, 5), clock(MINUTE, 2)) == ["60000"]


def test_a_clock_before_any_trade_counts() -> None:
    assert taken(started(0), clock(2 * MINUTE, 0)) == ["60000", "120000"]


def test_a_trade_of_a_closed_interval_is_late() -> None:
    records = rows(1, time=MINUTE), rows(2, 3, time=MINUTE - 1), rows(4, time=MINUTE)
    assert taken(started(), *records) == ["60000", 1, -2, -3, 4]


def test_trades_of_a_gap_are_late_and_taken_once() -> None:
    tape = started()
    assert taken(tape, gap(1, 4, 0, 10), rows(5), rows(2, 3), rows(3), rows(1, 2)) == [
        5,
        -2,
        -3,
        -1,
    ]
    assert [(each.first_id, each.last_id) for each in tape.state.missing] == [(4, 4)]
    assert taken(tape, rows(4, 5, 6)) == [-4, 6]
    assert tape.state.missing == ()


def test_a_late_trade_is_no_clock() -> None:
    assert taken(started(), gap(1, 2, 0, 5 * MINUTE), rows(1, time=4 * MINUTE)) == [-1]


def test_a_gap_counts_for_what_was_not_taken_yet() -> None:
    tape = started()
    assert taken(tape, rows(1, 2), gap(1, 4, 0, 10), gap(1, 4, 0, 10), gap(9, 9, 0, 1)) == [1, 2]
    assert [(each.first_id, each.last_id) for each in tape.state.missing] == [(3, 4)]
    assert tape.state.next_id == 5
    assert tape.waiting() == "trade 5, before 9"


def test_a_gap_touches_the_open_interval_and_those_up_to_its_end() -> None:
    tape = started()
    taken(tape, gap(1, 4, 0, 2 * MINUTE))
    assert [tape.state.whole(START + k * MINUTE) for k in (1, 2, 3, 4)] == [False] * 3 + [True]


def test_a_gap_without_an_end_touches_every_interval_until_trades_go_on() -> None:
    tape = started()
    assert taken(tape, rows(1), gap(2, None, 5, MINUTE), clock(MINUTE, 1)) == [1, "60000"]
    assert not tape.state.whole(START + 9 * MINUTE)
    assert not tape.state.restored(START + MINUTE)
    assert taken(tape, rows(2, time=MINUTE - 1), rows(3, time=MINUTE)) == [-2, 3]
    assert not tape.state.whole(START + MINUTE)
    assert tape.state.whole(START + 2 * MINUTE)
    assert tape.state.restored(START + MINUTE)


def test_a_gap_without_an_end_is_extended_and_then_ended() -> None:
    tape = started()
    taken(tape, gap(1, None, 0, 10), gap(1, None, 0, 90), rows(1, time=50), gap(1, 3, 0, 100))
    assert tape.state.outage is None
    assert [(each.first_id, each.last_id) for each in tape.state.missing] == [(2, 3)]
    assert taken(tape, gap(1, None, 0, 10), rows(3), rows(4), rows(2)) == [-3, 4, -2]


def test_the_trades_of_old_gaps_are_forgotten() -> None:
    tape = started()
    taken(tape, gap(1, 4, 0, 10), clock((KEPT + 1) * MINUTE, 4))
    assert tape.state.missing != ()
    taken(tape, clock((KEPT + 2) * MINUTE, 4))
    assert tape.state.missing == ()
    assert taken(tape, rows(1, 5, time=(KEPT + 2) * MINUTE)) == [5]


def test_joins_and_leaves_are_taken_once() -> None:
    tape = started()
    assert not tape.join(join(MINUTE))
    assert tape.leave(leave(5 * MINUTE))
    assert not tape.leave(leave(5 * MINUTE))
    assert not tape.join(join(MINUTE))
    assert tape.leave(leave(9 * MINUTE, epoch=3))
    assert tape.state.members["paper"].until == START + 5 * MINUTE


def test_another_account_changes_nothing() -> None:
    tape = started()
    taken(tape, rows(1))
    assert tape.join(join(5 * MINUTE, 90, account="shadow"))
    assert taken(tape, rows(2)) == [2]


def test_after_all_have_left_the_next_join_starts_anew() -> None:
    tape = started()
    tape.leave(leave(2 * MINUTE))
    assert taken(tape, rows(1), clock(2 * MINUTE, 1)) == [1, "60000", "120000"]
    assert tape.join(join(100 * MINUTE, 50, account="shadow"))
    assert taken(tape, rows(2), rows(50, time=99 * MINUTE), clock(100 * MINUTE, 50)) == [
        50,
        f"{100 * MINUTE}",
    ]


@pytest.mark.parametrize("record", [join(MINUTE, epoch=2), leave(MINUTE), leave(90_001)])
def test_what_comes_too_late_or_at_no_end_of_an_interval_is_refused(record: Any) -> None:
    tape = started()
    taken(tape, clock(MINUTE, 0))
    with pytest.raises(StreamError, match="had passed"):
        tape.join(record) if record.TYPE == "join" else tape.leave(record)


def test_a_join_without_an_epoch_is_refused() -> None:
    with pytest.raises(StreamError, match="must follow its epoch"):
        Tape().join(join(MINUTE))


def test_another_interval_is_refused() -> None:
    tape = started()
    tape.adopt(epoch(2))
    with pytest.raises(StreamError, match="one run has one interval"):
        tape.adopt(epoch(3, interval=1_000))


def test_a_leave_of_who_never_joined_is_passed_on_once() -> None:
    tape = Tape()
    assert tape.leave(leave(90_001))
    assert not tape.leave(leave(90_001))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_happening_is_taken_once_whatever_the_cuts_repeats_and_jumps(
    data: st.DataObject,
) -> None:
    happened = data.draw(streams.happenings())
    tape = started(streams.FIRST_ID, interval=streams.INTERVAL)
    found: list[int] = []
    for record in data.draw(streams.logs(happened)):
        found += [abs(each) for each in taken(tape, record) if isinstance(each, int)]
        # Where it stands is all it needs.
        tape = Tape(decode_state(TapeState, encode_state(tape.state)))
    oldest = tape.state.closed - KEPT * streams.INTERVAL
    due = [each.id for each in happened if isinstance(each, streams.Trade)]
    assert len(found) == len(set(found))
    assert set(found) <= set(due)
    forgotten = [each for each in happened if isinstance(each, Gap) and each.to_time < oldest]
    assert set(found) == set(due) or forgotten
