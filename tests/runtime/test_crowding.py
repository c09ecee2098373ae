"""Reading on stops where enough waits for another topic, and never while somebody needs more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.runtime import crowding
from app.runtime.crowding import Crowd

AHEAD = st.none() | st.integers(0, 10)


@given(st.lists(st.tuples(st.sampled_from("abc"), AHEAD), max_size=30))
def test_it_is_full_when_all_wait_and_hold_enough(notes: list[tuple[str, int | None]]) -> None:
    crowd = Crowd()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crowding, "MOST_AHEAD", 12)
        latest: dict[str, int | None] = {}
        for key, ahead in notes:
            crowd.note(key, ahead)
            latest[key] = ahead
            held = list(latest.values())
            assert crowd.full == (None not in held and sum(each or 0 for each in held) > 12)
