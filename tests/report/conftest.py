"""Runs to report on: a drawn one of two years, and what the whole pipeline made in memory."""

from __future__ import annotations

import pytest

from app.core.events import Message
from app.core.metrics import RunRecords, Summary, measure
from app.pipeline import STAGES
from app.replay.driver import Replay
from app.replay.recorded import event_time
from app.report import Input, Report, RunInfo
from tests.replay.market import Market
from tests.replay.test_ring import play
from tests.report.runs import account, fed, records, walk

TOPICS = ("trades", "candles", "signals", "fills", "portfolio", "allocations", "orders", "risk")
HOSTILE = "<script>alert('no & yes')</script>"
INFO = RunInfo(
    title=f"Backtest {HOSTILE}",
    run="run-1",
    code="0.1.0",
    inputs=tuple(Input(f"trades/{number}", "offsets 0 to 9", 10) for number in range(5)),
    notes=(HOSTILE,),
    files=("report.json", "trips.csv", "fills.csv"),
)


def drawn(seed: int = 5, count: int = 1600) -> Summary:
    """Return a run decided every six hours, of 400 days."""
    of = account(capital="100000", parameters={"note": HOSTILE})
    return measure(fed(records(walk(count, seed, busy=0.1), of, interval=6 * 3_600_000)))


@pytest.fixture(scope="session")
def year() -> Report:
    return Report(INFO, drawn())


@pytest.fixture(scope="session")
def made() -> list[Message]:
    """Return what the pipeline makes of a market with a gap, late trades and two accounts."""
    replay = play(Replay(STAGES), Market(seed=7, intervals=40))
    found = [
        (event_time(message), rank, number, message)
        for rank, topic in enumerate(TOPICS)
        for number, message in enumerate(replay.messages(topic))
    ]
    return [message for *_, message in sorted(found, key=lambda each: each[:3])]


@pytest.fixture(scope="session")
def ring(made: list[Message]) -> Report:
    taken = RunRecords()
    for message in made:
        taken.take(message.record)
    return Report(INFO, measure(taken))
