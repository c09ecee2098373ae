"""What was decoded is had again for the same bytes in the same place, and for nothing else."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from app.core.events import Clock, Message
from app.runtime import admission
from app.runtime.codec import encode
from app.runtime.ports import Stored
from app.runtime.recent import Recent


def stored(offset: int, time: int = 0) -> Stored:
    message = Message(Clock("X:Y", time, 0, 0))
    return Stored("trades", 0, offset, b"X:Y", encode(message))


def admitted(one: Stored, recent: Recent) -> Any:
    return admission.admit_for(one, "execution", recent)


def test_the_same_record_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    recent = Recent()
    first = admitted(stored(7), recent)
    monkeypatch.setattr(admission, "decode", None)
    assert admitted(stored(7), recent) is first


def test_what_was_made_here_is_not_decoded_but_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    recent = Recent()
    made = Message(Clock("X:Y", 1, 0, 0))
    handed = dataclasses.replace(stored(7, time=1), message=made)
    with monkeypatch.context() as patch:
        patch.setattr(admission, "decode", None)
        assert admitted(handed, recent) is made
        assert admitted(dataclasses.replace(handed, key=b"X:Z"), recent) == []
    # The tables are given what was read: zeros at the end of a number would stand there.
    assert admitted(stored(7, time=1), recent) is not made


@pytest.mark.parametrize(
    "other",
    [{"offset": 8}, {"partition": 1}, {"topic": "orders"}, {"key": b"X:Z"}, {"value": b"{}"}],
)
def test_another_one_is_not_taken_for_it(other: dict[str, Any]) -> None:
    recent = Recent()
    admitted(stored(7), recent)
    assert recent.get(dataclasses.replace(stored(7), **other)) is None


def test_what_another_run_had_there_is_replaced() -> None:
    recent = Recent()
    admitted(stored(7), recent)
    assert admitted(stored(7, time=5), recent).record.time == 5
    assert admitted(stored(7, time=5), recent).record.time == 5


def test_the_oldest_are_let_go() -> None:
    size = len(stored(0).value or b"")
    recent = Recent(most=3 * size)
    for offset in range(5):
        admitted(stored(offset), recent)
    kept = [offset for offset in range(5) if recent.get(stored(offset)) is not None]
    assert kept == [2, 3, 4]


def test_what_is_refused_is_refused_again() -> None:
    recent = Recent()
    for _ in range(2):
        assert admission.admit_for(Stored("trades", 0, 1, b"X:Y", b"{}"), "execution", recent) == []
