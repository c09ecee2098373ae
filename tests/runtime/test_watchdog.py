"""The watchdog: whom it names, and whom it leaves in peace."""

from __future__ import annotations

import contextlib
import threading

import structlog

from app.runtime.watchdog import EXIT_STUCK, Watchdog, watch

PATIENCE = 30.0


def test_every_stage_over_its_time_is_named() -> None:
    names = ("candles", "portfolio", "risk", "sink")
    dogs = {name: Watchdog(name) for name in names}
    codes: list[int] = []
    ended = threading.Event()

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    with contextlib.ExitStack() as stack, structlog.testing.capture_logs() as said:
        for name in names[1:]:
            stack.enter_context(dogs[name].working())
        dogs["sink"].wait_for("the database")
        stop = watch(list(dogs.values()), 0.0, end)
        assert ended.wait(PATIENCE)
        stop.set()
    assert codes == [EXIT_STUCK]
    assert [(line["event"], line["stage"]) for line in said] == [
        ("stuck", "portfolio"),
        ("stuck", "risk"),
    ]
