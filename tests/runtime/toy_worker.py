"""A worker that runs the simulation's toy stages on a real broker: `python -m … worker`."""

from __future__ import annotations

import dataclasses
import os
from types import SimpleNamespace
from typing import Any

import uvloop
from mode import Service

from app.runtime import fetching
from app.runtime import shell as shell_module
from app.runtime.faust_settings import faust_settings
from app.runtime.faust_worker import App
from app.runtime.fetching import PROMPT
from app.runtime.handing import Handing
from app.runtime.kafka import KafkaLog
from app.runtime.ports import Place
from app.runtime.shell import Shell, StageApp, Together
from app.runtime.stage import StageRuntime
from tests.simulation.toys import STAGES

READING = os.environ.get("TOY_READING", ",".join(stage.name for stage in STAGES)).split(",")
"""Stages that read what was appended; the others have only what is handed over."""

HELD = [int(number) for number in os.environ.get("TOY_HELD", "").split(",") if number]
"""Partitions of `trades` of which the first stage wants no more once it has taken something."""
if HELD:
    shell_module.COMMIT_SECONDS = 3_600.0  # nor does time let them go on

fetching.KNOWN = 5  # so that stages come to ask in bulk, and back

PREFIX = os.environ["TOY_PREFIX"]
SETTINGS: Any = SimpleNamespace(
    kafka=SimpleNamespace(
        bootstrap=os.environ["LOCKSTEP_KAFKA__BOOTSTRAP"], session_timeout=6.0, security=dict
    )
)
LOG = KafkaLog(SETTINGS.kafka.bootstrap, PREFIX)
HANDING = Handing()
LOG.appended = HANDING.give

uvloop.install()


class Connection(Service):
    async def on_start(self) -> None:
        await LOG.start()

    async def on_shutdown(self) -> None:
        await LOG.stop()


class Toy(App):
    producer_only = True

    def on_init_dependencies(self) -> list[Any]:
        return [Connection(beacon=self.beacon), Together(CHILDREN, beacon=self.beacon)]


class Content(StageRuntime):
    def full(self) -> frozenset[Place]:
        return frozenset(Place("trades", number) for number in HELD)


def child(stage: Any) -> StageApp:
    app = StageApp(PREFIX + stage.name, **faust_settings(SETTINGS), beacon=UMBRELLA.beacon)
    shell = Shell(stage.name, stage.inputs, PREFIX, app)
    make = Content if stage.name == "pairs" else StageRuntime
    shell.intake = make(stage, LOG, "toy", f"pid-{os.getpid()}", unwritten=40)
    if stage.name not in READING:
        shell.fetching = dataclasses.replace(PROMPT, pause=600.0)
    HANDING.add(shell)
    return app


UMBRELLA = Toy("toy", **faust_settings(SETTINGS))
CHILDREN = [child(stage) for stage in STAGES]

if __name__ == "__main__":
    UMBRELLA.main()
