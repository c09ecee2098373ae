"""Who shows the right secret comes in, who shows many wrong ones waits, and no other site asks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dashboard.access import (
    MOST_ADDRESSES,
    SESSION_SECONDS,
    TRIES,
    TRIES_OF_ALL,
    TRY_SECONDS,
    Door,
    TooManyTriesError,
    from_elsewhere,
)

SECRET = "the right one"  # noqa: S105 - a test's
HERE = "127.0.0.1"


class Timer:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_session_stands_for_the_secret_until_it_ends() -> None:
    timer = Timer()
    door = Door(SECRET, timer)
    session = door.open(SECRET, HERE) or ""
    other = door.open(SECRET, HERE) or ""
    assert session
    assert session != other
    assert door.knows(session)
    assert not door.knows(session[:-1])
    assert not door.knows("")
    door.forget(session)
    assert not door.knows(session)
    timer.now += SESSION_SECONDS
    assert not door.knows(other)


@settings(deadline=None)
@given(st.text())
def test_nothing_but_the_secret_opens(shown: str) -> None:
    assert (Door(SECRET).open(shown, HERE) is not None) == (shown == SECRET)


def test_who_tries_often_waits_even_with_the_right_secret() -> None:
    timer = Timer()
    door = Door(SECRET, timer)
    for _ in range(TRIES):
        assert not door.fits("wrong", HERE)
    with pytest.raises(TooManyTriesError) as raised:
        door.fits(SECRET, HERE)
    assert 0 < raised.value.seconds <= TRY_SECONDS + 1
    assert door.fits(SECRET, "another")
    timer.now += TRY_SECONDS
    assert door.fits(SECRET, HERE)


def test_many_addresses_help_nobody() -> None:
    timer = Timer()
    door = Door(SECRET, timer)
    for number in range(TRIES_OF_ALL):
        assert not door.fits("wrong", f"address {number}")
    with pytest.raises(TooManyTriesError):
        door.fits(SECRET, "one more")
    timer.now += TRY_SECONDS
    assert door.fits(SECRET, "one more")


def test_addresses_are_not_remembered_without_bound() -> None:
    timer = Timer()
    door = Door(SECRET, timer)
    for number in range(MOST_ADDRESSES + 50):
        timer.now += TRY_SECONDS / 10
        assert not door.fits("wrong", f"address {number}")
    assert len(door._attempts._of) == MOST_ADDRESSES


@pytest.mark.parametrize(
    ("method", "headers", "refused"),
    [
        ("GET", {"sec-fetch-site": "cross-site"}, False),
        ("HEAD", {"origin": "http://evil.example", "host": "127.0.0.1:8420"}, False),
        ("POST", {"sec-fetch-site": "cross-site"}, True),
        ("POST", {"sec-fetch-site": "same-site"}, True),
        ("POST", {"sec-fetch-site": "same-origin"}, False),
        ("POST", {"sec-fetch-site": "none"}, False),
        ("POST", {"sec-fetch-site": "cross-site", "origin": "http://a", "host": "a"}, True),
        ("POST", {"origin": "http://evil.example", "host": "127.0.0.1:8420"}, True),
        ("POST", {"origin": "null", "host": "127.0.0.1:8420"}, True),
        ("POST", {"origin": "http://127.0.0.1:1", "host": "127.0.0.1:8420"}, True),
        ("POST", {"origin": "http://127.0.0.1:8420", "host": "127.0.0.1:8420"}, False),
        ("POST", {"host": "127.0.0.1:8420"}, False),
        ("DELETE", {"sec-fetch-site": "cross-site"}, True),
    ],
)
def test_pages_of_other_sites_change_nothing(
    method: str, headers: dict[str, str], *, refused: bool
) -> None:
    assert from_elsewhere(method, headers) is refused
