"""Commands `up` and `down` in, a running or stopped Kafka and TimescaleDB on this machine out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

Engine = Literal["docker", "local"]

CHECKOUT = Path(__file__).resolve().parents[2]
SERVICES = ("kafka", "timescaledb")
COMPOSE_SERVICES = (*SERVICES, "kafka-ui")
COMPOSE_PORTS = {"kafka": 9092, "timescaledb": 5432, "kafka-ui": 8080}
STOPPED = 3  # the scripts' exit code of `status` for a service that does not run


@dataclass(frozen=True, slots=True)
class StackState:
    """What of the local stack runs.

    Attributes:
        engine: What the stack runs on; None where this installation brings no stack.
        kafka: The broker's address as host:port, or None while it is stopped.
        timescaledb: The database's address as host:port, or None while it is stopped.
    """

    engine: Engine | None
    kafka: str | None
    timescaledb: str | None

    @property
    def running(self) -> tuple[str, ...]:
        """The names of the services that run."""
        addresses = {"kafka": self.kafka, "timescaledb": self.timescaledb}
        return tuple(name for name, address in addresses.items() if address)


def local_folder() -> Path:
    """The folder that holds the local stack's programs, data, ports and `stack.env`."""
    return Path(os.environ.get("LOCKSTEP_LOCAL_DIR") or CHECKOUT / ".local").resolve()


def stack_state() -> StackState:
    """Ask each service of the local stack whether it runs, and where."""
    if not _has_stack():
        return StackState(engine=None, kafka=None, timescaledb=None)
    engine = _engine()
    address = _compose_address if engine == "docker" else _script_address
    return StackState(engine, address("kafka"), address("timescaledb"))


@click.command()
def up() -> None:
    """Start Kafka and TimescaleDB on this machine."""
    _require_stack()
    engine = _engine()
    _remember(engine)
    if engine == "docker":
        _compose_up()
    else:
        _run_scripts("start")
    _report(stack_state())


@click.command()
@click.option("--purge", is_flag=True, help="Also delete the data of Kafka and TimescaleDB.")
@click.option("--yes", is_flag=True, help="Do not ask before deleting data.")
def down(*, purge: bool, yes: bool) -> None:
    """Stop what `up` started; the data stays."""
    _require_stack()
    if purge and not yes:
        _confirm_purge()
    if _engine() == "docker":
        _compose("down", "--volumes") if purge else _compose("stop", *COMPOSE_SERVICES)
    else:
        _run_scripts("purge" if purge else "stop")
    click.echo("Stopped, data deleted." if purge else "Stopped. Start it again: lockstep up")


def _confirm_purge() -> None:
    if not sys.stdin.isatty():
        raise click.ClickException(
            "--purge deletes all topics and tables and nobody can be asked here; add --yes"
        )
    click.confirm("Delete all topics and tables of the local stack?", abort=True, err=True)


def _has_stack() -> bool:
    return (CHECKOUT / "deploy" / "local" / "kafka").is_file()


def _require_stack() -> None:
    if not _has_stack():
        raise click.ClickException(
            "this installation brings no local stack: run this in a checkout of the project, or "
            "set LOCKSTEP_KAFKA__BOOTSTRAP and LOCKSTEP_DATABASE__* to servers you have"
        )


def _engine() -> Engine:
    """The engine the stack was last started on, else Docker where its engine answers."""
    remembered = local_folder() / "engine"
    if remembered.exists():
        return "docker" if remembered.read_text().strip() == "docker" else "local"
    return "docker" if _docker_answers() else "local"


def _docker_answers() -> bool:
    """Whether there are a Docker engine and the compose plugin, not only a client."""
    try:
        return all(
            _capture("docker", *words).returncode == 0
            for words in (["info"], ["compose", "version"])
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False


def _remember(engine: Engine) -> None:
    local_folder().mkdir(parents=True, exist_ok=True)
    (local_folder() / "engine").write_text(engine + "\n")


def _capture(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 # the words are this module's own
        command, capture_output=True, text=True, check=False, timeout=30, stdin=subprocess.DEVNULL
    )


def _script(service: str) -> str:
    return str(CHECKOUT / "deploy" / "local" / service)


def _script_address(service: str) -> str | None:
    answer = _capture(_script(service), "status")
    if answer.returncode not in (0, STOPPED):
        raise click.ClickException(answer.stderr.strip() or f"the state of {service} is unknown")
    return answer.stdout.strip() if answer.returncode == 0 else None


def _run_scripts(verb: str) -> None:
    """Run a verb of both services at once; each says its own steps on standard error."""
    running = {
        service: subprocess.Popen(  # noqa: S603 # the words are this module's own
            [_script(service), verb], stdin=subprocess.DEVNULL, stdout=sys.stderr
        )
        for service in SERVICES
    }
    failed = [service for service, process in running.items() if process.wait() != 0]
    if failed:
        raise click.ClickException(
            f"{verb} failed for {' and '.join(failed)}; its line above says why"
        )


def _compose_command(*words: str) -> tuple[str, ...]:
    return ("docker", "compose", "--project-directory", str(CHECKOUT), *words)


def _compose(*words: str) -> None:
    command = _compose_command(*words)
    done = subprocess.run(  # noqa: S603 # the words are this module's own
        command, check=False, stdin=subprocess.DEVNULL, stdout=sys.stderr
    )
    if done.returncode != 0:
        raise click.ClickException(f"`{' '.join(command)}` failed; its lines above say why")


def _compose_up() -> None:
    _compose("up", "--detach", "--wait", *COMPOSE_SERVICES)
    _publish_compose_addresses()


def _compose_address(service: str) -> str | None:
    answer = _capture(*_compose_command("port", service, str(COMPOSE_PORTS[service])))
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def _publish_compose_addresses() -> None:
    """Write `stack.env`, so that every program finds this stack as it finds the other kind."""
    state = stack_state()
    host, _, port = (state.timescaledb or "").rpartition(":")
    config = json.loads(_capture(*_compose_command("config", "--format", "json")).stdout)
    lines = {
        "LOCKSTEP_KAFKA__BOOTSTRAP": state.kafka,
        "LOCKSTEP_DATABASE__HOST": host,
        "LOCKSTEP_DATABASE__PORT": port,
        "LOCKSTEP_DATABASE__NAME": "lockstep",
        "LOCKSTEP_DATABASE__USER": "lockstep",
        "LOCKSTEP_DATABASE__PASSWORD": config["services"]["timescaledb"]["environment"][
            "POSTGRES_PASSWORD"
        ],
    }
    target = local_folder() / "stack.env"
    target.touch(mode=0o600)
    target.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))


def _report(state: StackState) -> None:
    click.echo(f"Kafka        {state.kafka}")
    click.echo(f"TimescaleDB  {state.timescaledb} (database lockstep, user lockstep)")
    if state.engine == "docker":
        click.echo(f"Kafka UI     http://{_compose_address('kafka-ui')}")
    click.echo(f"Settings     {local_folder() / 'stack.env'}")
    click.echo("Next: lockstep migrate, then lockstep topics create")
