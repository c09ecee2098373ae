"""A person's instruction in, a command record in the account's partition of `signals` out."""

from __future__ import annotations

import asyncio
import getpass
import json
import secrets
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from app.errors import ConfigurationError

if TYPE_CHECKING:
    from app.config import Settings

DONE = {
    "halt": "Let it go on: lockstep resume {account}",
    "resume": "See what it does: lockstep status",
    "flatten": "See what is left: lockstep positions {account}",
}


def _options(function: Callable[..., None]) -> Callable[..., None]:
    for decorate in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON document."),
        click.option("--by", default=None, help="Who says so; you, unless told otherwise."),
        click.option("--reason", default="by hand", show_default=True, help="Why; it is kept."),
        click.argument("account"),
    ):
        function = decorate(function)
    return function


@click.command()
@_options
def halt(account: str, reason: str, by: str | None, *, as_json: bool) -> None:
    """Halt an account: it opens nothing until resumed."""
    _give("halt", account, reason, by, as_json=as_json)


@click.command()
@_options
def resume(account: str, reason: str, by: str | None, *, as_json: bool) -> None:
    """Let a halted account open positions again."""
    _give("resume", account, reason, by, as_json=as_json)


@click.command()
@_options
@click.option("--yes", is_flag=True, help="Do not ask.")
def flatten(account: str, reason: str, by: str | None, *, as_json: bool, yes: bool) -> None:
    """Halt an account and close all it holds."""
    if not yes:
        _confirm(account)
    _give("flatten", account, reason, by, as_json=as_json)


def _confirm(account: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError(
            "flatten closes every position and nobody can be asked here; add --yes."
        )
    text = f"This closes every position of {account}. Type its name to go on"
    if click.prompt(text, err=True) != account:
        raise click.UsageError(f"that was not {account}; nothing was done.")


def _give(action: str, account: str, reason: str, by: str | None, *, as_json: bool) -> None:
    from app.config import load  # noqa: PLC0415 - help loads nothing

    settings = load()
    _check(settings, account)
    document = asyncio.run(_append(settings, action, account, reason, by or getpass.getuser()))
    if as_json:
        click.echo(json.dumps(document))
        return
    place = f"{document['topic']}/{document['partition']} at offset {document['offset']}"
    click.echo(
        f"{action} of {account} stands in {place} and acts at the next decision time. "
        f"{DONE[action].format(account=account)}"
    )


def _check(settings: Settings, account: str) -> None:
    from app.config_sources import suggest  # noqa: PLC0415 - help loads nothing

    names = [configured.name for configured in settings.accounts()]
    if account not in names:
        raise ConfigurationError(f"there is no account {account!r}{suggest(account, names)}")


async def _append(
    settings: Settings, action: str, account: str, reason: str, by: str
) -> dict[str, Any]:
    """Append the command and return where it stands."""
    from app.core.events import Action, Command, Message  # noqa: PLC0415 - help loads nothing
    from app.runtime.codec import encode  # noqa: PLC0415
    from app.runtime.kafka import KafkaLog  # noqa: PLC0415
    from app.runtime.ports import Entry  # noqa: PLC0415

    try:
        command = Command(account, secrets.token_hex(8), Action(action), by, reason)
        value = encode(Message(command))
    except ValueError as error:
        raise ConfigurationError(f"{error}.") from error
    kafka = settings.kafka
    log = KafkaLog(kafka.bootstrap, kafka.prefix, **kafka.security())
    await log.start()
    try:
        partitions = await log.partitions("signals")
        key = account.encode()
        (offset,) = await log.append([Entry("signals", key, value)])
        partition = log.partition_for(key, partitions)
    finally:
        await log.stop()
    return {
        "account": account,
        "action": action,
        "command_id": command.command_id,
        "topic": kafka.prefix + "signals",
        "partition": partition,
        "offset": offset,
    }
