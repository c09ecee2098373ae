"""What `faust -A app worker` runs: one Faust app a stage under an umbrella app."""

from __future__ import annotations

import sys
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click
import faust.cli.base
import faust.cli.worker
import uvloop

from app import cli
from app.config import Settings, load
from app.errors import LockstepError
from app.runtime.faust_settings import faust_settings
from app.runtime.faust_worker import App

if TYPE_CHECKING:
    from app.runtime.process import Process
    from app.runtime.shell import StageApp

uvloop.install()  # less CPU per event; Faust takes its loop from the policy


class Umbrella(App):
    """Starts and stops the stages' apps as its own parts, and lists their agents.

    An app a stage means a consumer group a stage: a slow sink stops nobody else, lag is visible
    a stage, and stages can be split over workers (two workers of one group that run different
    agents would lose records in silence).
    """

    producer_only = True  # it reads no topic of its own

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._listed = False
        super().__init__("lockstep", **faust_settings(settings))

    # Made when they are asked for: `--help` and an error in the arguments need neither, and should
    # not wait for all that they import.
    @cached_property
    def process(self) -> Process:
        """What the stages of this worker share."""
        from app.runtime.process import Process  # noqa: PLC0415 - see above

        return Process(self._settings, beacon=self.beacon)

    @cached_property
    def stages(self) -> list[StageApp]:
        """An app for each stage that this worker was told to run."""
        return self.process.apps()

    @property
    def agents(self) -> Any:
        """The stages' agents, by name."""
        if not self._listed:
            self._listed = True
            for stage in self.stages:
                self._agents.update(stage.agents)
        return self._agents

    @agents.setter
    def agents(self, empty: Any) -> None:
        """Take what Faust makes for agents."""
        self._agents = empty

    def on_init_dependencies(self) -> list[Any]:
        """Start the process's connections first, then the stages."""
        from app.runtime.shell import Together  # noqa: PLC0415 - see above

        return [self.process, Together(self.stages, beacon=self.beacon)]


def _settings() -> Settings:
    try:
        return load()
    except LockstepError as error:
        # Faust imports this module before it runs anything, and would show a traceback.
        sys.stderr.write(f"Error: {error}\n")
        raise SystemExit(error.exit_code) from None


def _accept_loss(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's signature
    del context, parameter
    if wanted:
        app.process.accept_loss = True


app = Umbrella(_settings())
cli.install(faust.cli.base.cli)
faust.cli.base.cli.commands["worker"].params.append(
    click.Option(
        ["--accept-loss"],
        is_flag=True,
        expose_value=False,
        callback=_accept_loss,
        help="Record what retention took before it was read as a gap, and go on.",
    )
)
