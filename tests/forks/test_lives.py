"""What the records on `forks` say of a fork, in whatever order two processes wrote them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.core.events import Fork, ForkStep
from app.forks.lives import NEXT, fold

S = ForkStep


def step(what: ForkStep, time: int = 0, handle: str | None = None, detail: str = "") -> Fork:
    return Fork("fm-1", what, time, None, "local", "db.main", handle, 1_000, detail)


STEPS = st.lists(
    st.builds(step, st.sampled_from(S), st.integers(0, 9), st.sampled_from([None, "a", "b"])),
    max_size=12,
)


def test_a_life_from_beginning_to_end() -> None:
    told = [
        step(S.REQUESTED, 1),
        step(S.CREATING, 2, "a"),
        step(S.READY, 3, "a"),
        step(S.RUNNING, 4, "a"),
        step(S.FINISHED, 5, "a"),
        step(S.RUNNING, 6, "a"),
        step(S.DELETING, 7, "a"),
        step(S.DELETED, 8, "a", "done"),
    ]
    seen = [fold(told[: end + 1])["fm-1"] for end in range(len(told))]
    assert [life.step for life in seen] == [item.step for item in told]
    assert [life.usable for life in seen] == [False, False, True, True, True, True, False, False]
    assert [life.over for life in seen] == [*(False,) * 7, True]
    last = seen[-1]
    assert (last.asked, last.since, last.handle, last.detail) == (1, 8, "a", "done")


def test_a_step_that_comes_too_late_changes_nothing_but_what_is_known() -> None:
    life = fold([step(S.REQUESTED), step(S.FAILED), step(S.CREATING, 5, "a"), step(S.READY, 6)])[
        "fm-1"
    ]
    assert (life.step, life.handle, life.over) == (S.FAILED, "a", False)


def test_only_what_may_have_a_copy_takes_room() -> None:
    assert not fold([step(S.REQUESTED), step(S.FAILED)])["fm-1"].takes_room
    assert fold([step(S.REQUESTED), step(S.FAILED, 1, "a")])["fm-1"].takes_room
    assert fold([step(S.REQUESTED)])["fm-1"].takes_room
    assert not fold([step(S.REQUESTED), step(S.DELETED, 1, "a")])["fm-1"].takes_room


@given(STEPS)
def test_a_life_ends_once_and_forgets_no_copy(steps: list[Fork]) -> None:
    ended = False
    for count in range(1, len(steps) + 1):
        life = fold(steps[:count])["fm-1"]
        assert not (ended and life.step is not S.DELETED)
        ended = life.step is S.DELETED
        assert set(life.handles) == {item.handle for item in steps[:count] if item.handle}


def test_every_step_has_its_followers_and_none_comes_back_from_the_end() -> None:
    assert set(NEXT) == set(S)
    reached = {S.DELETING}
    for _ in S:
        reached |= {after for before in reached for after in NEXT[before]}
    assert reached == {S.DELETING, S.DELETED}
