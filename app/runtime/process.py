"""One worker process: its connections, and an app a stage that it was told to run."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import structlog
from mode import Service

from app.config import Settings
from app.core.events import Message
from app.forks.sweeping import sweep_for_ever
from app.market import listings
from app.pipeline import EDGES, STAGES
from app.runtime import collecting, topics
from app.runtime.bus import EventBus
from app.runtime.decisions import log_decisions
from app.runtime.failstop import exit_with
from app.runtime.faust_settings import faust_settings
from app.runtime.fetching import IN_BULK
from app.runtime.handing import Handing
from app.runtime.heap import give_back_large
from app.runtime.kafka import KafkaLog
from app.runtime.logs import configure
from app.runtime.loss import Acceptance
from app.runtime.market import MarketIntake
from app.runtime.ports import Intake
from app.runtime.recent import Recent
from app.runtime.shell import Shell, StageApp
from app.runtime.sink import SINK_TOPICS, SinkIntake
from app.runtime.stage import StageRuntime
from app.runtime.watchdog import watch
from app.storage import migrations
from app.storage.database import Database
from app.storage.errors import DatabaseUnavailableError

log = structlog.get_logger()

MOST_UNWRITTEN = 1_000
"""Records of a stage after which, at a batch's end, its states are written before a checkpoint."""


class Process(Service):  # type: ignore[misc]
    """Connects first and disconnects last; everything the stages of one worker share.

    Attributes:
        accept_loss: Whether to go on, at this start, where retention took what was needed.
    """

    def __init__(self, settings: Settings, **service: Any) -> None:
        super().__init__(**service)
        self._settings = settings
        self.accept_loss = settings.worker.accept_loss
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        kafka = settings.kafka
        self.log_of_records = KafkaLog(kafka.bootstrap, kafka.prefix, **kafka.security())
        self.database = Database(settings.database.storage())
        self.bus = EventBus()
        self._recent = Recent()
        self._shells: list[Shell] = []
        self._handing = Handing()
        self.log_of_records.appended = self._handing.give
        self._stop_watching: Callable[[], None] = lambda: None

    def apps(self) -> list[StageApp]:
        """Return one app for each stage that this worker runs, in flow order."""
        makers = self._makers()
        wanted = self._settings.worker.stages
        return [self._app(name, *makers[name]) for name in makers if name in wanted]

    async def on_start(self) -> None:
        """Connect, and check that the topics are as declared, before any stage starts."""
        configure(self._settings.worker.log_level)
        try:
            await self.log_of_records.start()
            await topics.require(self._settings.kafka)
            if self.accept_loss:
                await Acceptance(self.log_of_records, self._settings, self._owner).accept()
            await self._prepare_edges()
        except Exception as error:  # noqa: BLE001 - mode would show a traceback and exit 1
            exit_with(error, stage="worker")
        self.add_future(log_decisions(self.bus))
        if EDGES[1] in self._settings.worker.stages:  # it is known to reach the database
            self.add_future(sweep_for_ever(self._settings, self.log_of_records))
        collecting.settle()
        give_back_large()
        stop = watch([shell.watchdog for shell in self._shells], self._settings.worker.watchdog)
        self._stop_watching = stop.set

    async def on_shutdown(self) -> None:
        """Disconnect once every stage has stopped."""
        self._stop_watching()
        await self.log_of_records.stop()
        await self.database.close()

    async def _prepare_edges(self) -> None:
        """Let configuration become records; find a wrong database now, wait for an absent one."""
        market, sink = EDGES
        settings = self._settings
        if market in settings.worker.stages:
            await listings.publish(self.log_of_records, settings.accounts(), settings.interval)
        if sink in settings.worker.stages:
            try:
                await migrations.check(self.database)
            except DatabaseUnavailableError as error:
                log.warning("waiting", stage=sink, reason=str(error))

    def _makers(self) -> dict[str, tuple[tuple[str, ...], Callable[[Shell], Intake]]]:
        """Return by stage what it reads and how its intake is made."""
        stages = {
            stage.name: (stage.inputs, lambda _shell, stage=stage: self._stage(stage))
            for stage in STAGES
        }
        market, sink = EDGES
        return {
            market: (("instruments",), lambda _: self._market()),
            **stages,
            sink: (SINK_TOPICS, self._sink),
        }

    def _stage(self, stage: Any) -> StageRuntime:
        run = self._settings.worker.run
        return StageRuntime(
            stage,
            self.log_of_records,
            run,
            self._owner,
            self._publish,
            recent=self._recent,
            unwritten=MOST_UNWRITTEN,
        )

    def _market(self) -> MarketIntake:
        worker = self._settings.worker
        return MarketIntake(self._settings.market, self.log_of_records, worker.run, self._owner)

    def _sink(self, shell: Shell) -> SinkIntake:
        return SinkIntake(
            self.database,
            self.log_of_records,
            shell.waits_for,
            lambda: self.accept_loss,
            self._recent,
        )

    def _publish(self, message: Message) -> None:
        self.bus.publish(message)

    def _app(self, name: str, inputs: tuple[str, ...], make: Callable[[Shell], Intake]) -> StageApp:
        prefix = self._settings.kafka.prefix
        app = StageApp(prefix + name, **faust_settings(self._settings), beacon=self.beacon)
        shell = Shell(name, inputs, prefix, app)
        shell.intake = make(shell)
        if name == EDGES[1]:
            shell.fetching = IN_BULK
        self._shells.append(shell)
        if name not in EDGES:  # the sink takes in bulk, and nothing here writes configuration
            self._handing.add(shell)
        return app
