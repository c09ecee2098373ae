"""What is handed over and what is read come out once, in order, whatever comes first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.runtime.pending import Pending
from app.runtime.ports import Place, Stored

PLACE = Place("fills", 0)
LENGTH = 12


def stored(offset: int, size: int = 1, partition: int = 0) -> Stored:
    return Stored("fills", partition, offset, b"X:Y", bytes(size))


def offsets(pending: Pending) -> list[int]:
    return [each.offset for each in pending.pop()[1].get(PLACE, [])]


def test_it_knows_its_bytes() -> None:
    pending = Pending()
    pending.add(1, {PLACE: [stored(0, 5), stored(1, 7)]})
    assert (pending.count, pending.size) == (2, 12)
    pending.add(2, {PLACE: [stored(0, 5)]})  # of a new generation, which begins again
    assert (pending.count, pending.size) == (1, 5)
    pending.pop()
    assert (pending.count, pending.size) == (0, 0)


def test_only_what_is_due_is_taken_over() -> None:
    pending = Pending()
    assert not pending.hand(1, [stored(3)])  # nobody said what is due
    pending.expect(1, {PLACE: 3})
    assert not pending.hand(1, [stored(4)])  # another's record stands between
    assert pending.hand(1, [stored(3), stored(4), stored(6)])
    assert not pending.hand(1, [stored(5, partition=1)])
    assert not pending.hand(1, [stored(5)], {PLACE})
    assert pending.first() == PLACE
    assert offsets(pending) == [3, 4]


def test_what_was_handed_over_is_not_read_again_even_once_taken() -> None:
    pending = Pending()
    pending.expect(1, {PLACE: 3})
    pending.hand(1, [stored(3), stored(4)])
    assert offsets(pending) == [3, 4]
    assert not pending.add(1, {PLACE: [stored(3), stored(4)]})
    assert pending.add(1, {PLACE: [stored(4), stored(5)]})
    assert offsets(pending) == [5]


def test_nothing_is_due_once_the_partitions_went() -> None:
    pending = Pending()
    pending.expect(1, {PLACE: 3})
    pending.hand(1, [stored(3)])
    pending.expect(1, {})
    assert pending.count == 0
    assert not pending.hand(1, [stored(4)])
    assert not pending.hand(2, [stored(4)])


ADVANCE = st.tuples(st.integers(0, 4), st.integers(0, 4), st.booleans())


@given(st.sets(st.integers(0, LENGTH - 1)), st.lists(ADVANCE, max_size=LENGTH))
def test_every_record_comes_out_once_and_in_order(
    ours: set[int], steps: list[tuple[int, int, bool]]
) -> None:
    """Reading and handing over go on side by side, each in its own order, neither waiting."""
    pending = Pending()
    pending.expect(1, {PLACE: 0})
    read = handed = 0
    found: list[int] = []
    for read_more, handed_more, taken in [*steps, (LENGTH, LENGTH, True)]:
        until, upto = min(handed + handed_more, LENGTH), min(read + read_more, LENGTH)
        pending.hand(1, [stored(at) for at in range(handed, until) if at in ours])
        pending.add(1, {PLACE: [stored(at) for at in range(read, upto)]})
        read, handed = upto, until
        if taken:
            found += offsets(pending)
    assert found == list(range(LENGTH))
