"""No malformed message passes as a record, stops who may not stop, or changes anything."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from app.core.events import RECORDS
from app.runtime import admission, codec
from app.runtime.ports import Stored
from tests.fuzz import judge
from tests.fuzz.campaign import Campaign
from tests.fuzz.mutations import Case
from tests.fuzz.samples import all_samples
from tests.fuzz.stations import check_admission

SEED = 20191011
COUNT = 500


@pytest.mark.parametrize("tag", RECORDS)
def test_no_malformed_message_passes(tag: str) -> None:
    score = Campaign(SEED, tag).run(COUNT)
    assert not score.wrong
    assert score.malformed == score.letters + score.stops == COUNT
    assert score.harmless  # the judge does not refuse everything


@pytest.mark.parametrize("tag", RECORDS)
def test_the_samples_are_records_and_stand_where_they_may(tag: str) -> None:
    found = all_samples()[tag]
    assert all(judge.may_stand(sample.topic, sample.key, sample.value) for sample in found)
    topics = {topic for topic, (_, types) in judge.STANDS.items() if tag in types.split()}
    assert topics - {sample.topic for sample in found} == set()


def test_the_same_seed_makes_the_same_cases() -> None:
    first, second = (Campaign(SEED, "fill") for _ in range(2))
    assert [first._mutator.case() for _ in range(50)] == [second._mutator.case() for _ in range(50)]


def wrong(tag: str, count: int = 1_500) -> str:
    return "\n".join(Campaign(SEED, tag).run(count).wrong)


def test_a_decoder_that_takes_a_field_twice_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_check_foreign", lambda _: None)
    assert "passed as a record" in wrong("trades")


def test_a_decoder_without_ranges_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.core.events.checks.time", lambda *_: None)
    assert "passed as a record" in wrong("clock")


def test_a_reader_that_takes_any_key_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "_check", lambda *_: None)
    assert "sink took it" in wrong("fill")


def test_a_reader_that_reports_what_another_reports_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(admission.WARDENS, "trades", "execution")
    assert "candles wrote 0 records, not 1" in wrong("clock", 20)


def test_a_command_never_stops_its_reader_whatever_it_claims() -> None:
    command: dict[str, Any] = orjson.loads(all_samples()["command"][0].value)
    for changes in ({"id": "momentum/a/b/1"}, {"id": 5, "action": "stop"}, {"type": ["id"]}):
        check_admission(Case("signals", b"main", orjson.dumps(command | changes)), "portfolio")
    for text in (b'"an id"', b'["id"]', b"7", b'{"id":"momentum/a/b/1"}'):
        check_admission(Case("signals", b"main", text), "portfolio")


def test_a_name_that_no_record_can_hold_is_reported_all_the_same() -> None:
    value = (
        b'{"type":"clock","\\u0000\\u001b[2J":1,"instrument":"X:Y","time":1,"last_id":1,"age":1}'
    )
    (entry,) = admission.admit_for(Stored("trades", 0, 1, b"X:Y", value), "candles")  # type: ignore[misc]
    assert b"\\\\x00\\\\x1b[2J was 1" in entry.value
