"""Words of a command line enter; one command runs, and its exit code leaves.

0 done, 1 failed, 2 wrong usage or settings, 3 a proof found a difference, 4 broker, database or
exchange unreachable, 70 a bug, 130 interrupted, 143 stopped by SIGTERM. Help and completion come
from the tables below, so they load no command, and none loads Faust but `worker` and `agents`.
"""

from __future__ import annotations

import difflib
import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from signal import SIGHUP, SIGTERM
from types import FrameType
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from app.errors import BUG, FAILED, INTERRUPTED, TERMINATED, UNREACHABLE, LockstepError

COMMANDS = {
    "up": ("app.commands.stack:up", "Start Kafka and TimescaleDB on this machine."),
    "down": ("app.commands.stack:down", "Stop what `up` started; the data stays."),
    "demo": ("app.commands.demo:demo", "Play a real trading day through the whole pipeline."),
    "dashboard": (
        "app.commands.dashboard:dashboard",
        "Serve a web page on the running system.",
    ),
    "status": ("app.commands.status:status", "Show each stage's lag and what it waits for."),
    "topics": ("app.commands.topics:topics", "Create, check, list and read topics."),
    "migrate": ("app.commands.migrate:migrate", "Bring the database's schema up to date."),
    "verify": (
        "app.commands.verify:verify",
        "Prove that every record of the run follows from its inputs.",
    ),
    "explain": (
        "app.commands.explain:explain",
        "Walk from an order, a fill or a refusal back to the trades behind it.",
    ),
    "import": (
        "app.commands.import_:import_",
        "Put dump FILES of one instrument into `trades`, to be replayed.",
    ),
    "replay": (
        "app.commands.replay:replay",
        "Make a run again, from its topics, its tables or dump files.",
    ),
    "backtest": (
        "app.commands.backtest:backtest",
        "Run an account over dump files and report what it earned.",
    ),
    "check-lookahead": (
        "app.commands.check_lookahead:check_lookahead",
        "Prove that no decision leans on what comes later.",
    ),
    "fork": (
        "app.commands.fork:fork",
        "Try other settings on a copy of the run, from any of its moments on.",
    ),
    "strategy": (
        "app.commands.strategy:strategy",
        "Write strategies of your own, and list those there are.",
    ),
    "positions": ("app.commands.positions:positions", "Show what the accounts hold."),
    "halt": ("app.commands.operate:halt", "Halt an account: it opens nothing until resumed."),
    "resume": ("app.commands.operate:resume", "Let a halted account open positions again."),
    "flatten": ("app.commands.operate:flatten", "Halt an account and close all it holds."),
    "exchange": (
        "app.commands.exchange:exchange",
        "Run a local exchange that speaks Binance's market-data protocol.",
    ),
}
"""Every command of ours: where it is, and what it does in one line."""

FAUST = {
    "worker": "Run the agents.",
    "agents": "List the agents.",
}
"""Faust's own commands that make sense here; all words after the name go to Faust."""

TRACEBACK = "LOCKSTEP_TRACEBACK"

Action = Callable[[str, tuple[str, ...]], Any]


class LazyGroup(click.Group):
    """The commands of the tables, each loaded when it is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every name, in the order of the tables."""
        del ctx
        return [*COMMANDS, *FAUST]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load and return a command; None for an unknown name."""
        del ctx
        if cmd_name in FAUST:
            return _passed_on(cmd_name, FAUST[cmd_name], _run_faust)
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the first word, or say which one it may have been."""
        name = args[0]
        if name not in COMMANDS and name not in FAUST and not name.startswith("-"):
            near = difflib.get_close_matches(name, self.list_commands(ctx), 1)
            advice = f"did you mean {near[0]}?" if near else "`lockstep --help` lists them."
            raise click.UsageError(f"There is no command {name!r}: {advice}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the tables; no command is loaded."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])
        with formatter.section("Commands of Faust"):
            formatter.write_dl(list(FAUST.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the names that begin so; no command is loaded."""
        summaries = {name: summary for name, (_, summary) in COMMANDS.items()} | FAUST
        names = [
            CompletionItem(name, help=summary)
            for name, summary in summaries.items()
            if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)


def load_command(name: str) -> click.Command:
    """Import a command of ours."""
    module, _, attribute = COMMANDS[name][0].partition(":")
    command: click.Command = getattr(importlib.import_module(module), attribute)
    return command


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lockstep")
@click.option("--traceback", "wanted", is_flag=True, help="Show where an error was raised.")
def lockstep(*, wanted: bool) -> None:
    """Run a trading pipeline on Apache Kafka whose live run and its replay are the same run."""
    if wanted:
        os.environ[TRACEBACK] = "1"


def main() -> NoReturn:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """Run one command and return its exit code; errors are one sentence on standard error."""
    # Our sentence says what the client's own log line would say before it.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    # A closed terminal ends a command as SIGTERM does, or what it started would go on alone.
    previous = {number: signal.signal(number, _terminate) for number in (SIGTERM, SIGHUP)}
    try:
        code = lockstep.main(list(words), prog_name="lockstep", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except Exception as error:  # noqa: BLE001 - the one place where a bug becomes an exit code
        if os.environ.get(TRACEBACK):
            traceback.print_exception(error)
        return _report(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def install(root: click.Group) -> None:
    """Add every command of ours to Faust's own group; none is loaded before it is run."""
    for name, (_, summary) in COMMANDS.items():
        root.add_command(_passed_on(name, summary, _run_ours), name)


def _report(error: Exception) -> int:
    """Say what went wrong and return the exit code for it."""
    if isinstance(error, click.Abort):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        # Nobody reads on; what Python would flush at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    sentence, code = _sentence(error)
    click.echo(f"Error: {sentence}", err=True)
    return code


def _sentence(error: Exception) -> tuple[str, int]:
    if isinstance(error, LockstepError):
        return str(error), error.exit_code
    if isinstance(error, OSError):
        return f"{error}.", FAILED
    if _is_of_broker(error):
        advice = "see with `lockstep status` that it is up, then run this again."
        return f"the broker stopped answering ({str(error).rstrip('.')}): {advice}", UNREACHABLE
    what = f"{type(error).__name__}: {error}"
    return f"{what}. This is a bug: run it again with {TRACEBACK}=1 and report what it prints.", BUG


def _is_of_broker(error: BaseException | None) -> bool:
    """Return whether Kafka's client raised it, or what led to it, and may do better next time."""
    errors = sys.modules.get("aiokafka.errors")  # whoever never loaded it has met none
    while errors is not None and error is not None:
        if isinstance(error, errors.KafkaError):
            return bool(error.retriable or isinstance(error, errors.KafkaTimeoutError))
        error = error.__cause__
    return False


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """End as an exception, so that whatever is open is closed."""
    del number, frame
    raise SystemExit(TERMINATED)


def _passed_on(name: str, summary: str, action: Action) -> click.Command:
    """Return a command that takes any words and hands them on."""
    return click.Command(
        name,
        callback=lambda words: action(name, words),
        params=[click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
        add_help_option=False,
        help=summary,
    )


def _run_faust(name: str, words: tuple[str, ...]) -> None:
    from app.worker import app  # noqa: PLC0415 - only here is Faust wanted

    sys.argv = ["lockstep", name, *words]
    app.main()


def _run_ours(name: str, words: tuple[str, ...]) -> NoReturn:
    sys.exit(run([name, *words]))
