"""The name of a record, or a moment, in; what caused it, down to the trades, out."""

from __future__ import annotations

import json
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import click

from app import running
from app.commands.times import time_of
from app.errors import ConfigurationError

if TYPE_CHECKING:
    from app.config import Settings
    from app.replay.explain import Archive, Node


@click.command()
@click.argument("name", required=False)
@click.option("--at", "moment", metavar="TIME", help="What was decided then, and why nothing else.")
@click.option("--instrument", metavar="NAME", help="About which instrument. With --at.")
@click.option("--account", metavar="NAME", help="Only this account. With --at.")
@click.option("--from-database", "database", is_flag=True, help="Ask the tables: much faster.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def explain(
    name: str | None,
    moment: str | None,
    instrument: str | None,
    account: str | None,
    *,
    database: bool,
    as_json: bool,
) -> None:
    """Walk from an order, a fill or a refusal back to the trades behind it.

    NAME is an order's id, the id of any record, or what a record names as its origin, such as
    trades/BINANCE:BTCUSDT/4711. Or ask why nothing happened, with --at and --instrument.
    """
    if (name is None) == (moment is None):
        raise click.UsageError("give the name of a record, or --at TIME --instrument NAME.")
    if (moment is None) != (instrument is None) or (account and moment is None):
        raise click.UsageError("--at, --instrument and --account go together; --account may miss.")
    time = time_of(moment, "--at")
    trees = running.run(_explain(name, time, instrument, account, database=database))
    if as_json:
        from app.replay.explain import document  # noqa: PLC0415 - help loads nothing

        click.echo(json.dumps({"explanations": [document(tree) for tree in trees]}))
        return
    _show(trees)


async def _explain(
    name: str | None,
    time: int | None,
    instrument: str | None,
    account: str | None,
    *,
    database: bool,
) -> list[Node]:
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.replay.explain import (  # noqa: PLC0415
        Moment,
        explain,
        gather_moment,
        gather_named,
    )

    settings = load()
    async with AsyncExitStack() as stack:
        archive = await _archive(settings, stack, database=database)
        if name is not None:
            cases = await gather_named(archive, name)
        else:
            asked = [
                Moment(time or 0, instrument or "", each)
                for each in _accounts(settings, instrument or "", account)
            ]
            cases = [await gather_moment(archive, each) for each in asked]
    _end_progress()
    return [explain(case) for case in cases]


async def _archive(settings: Settings, stack: AsyncExitStack, *, database: bool) -> Archive:
    if database:
        from app.replay.explain.from_tables import TableArchive  # noqa: PLC0415 - loads a driver
        from app.storage.database import Database  # noqa: PLC0415

        storage = settings.database.storage()
        return TableArchive(await stack.enter_async_context(Database(storage)))
    from app.replay.explain.from_topics import TopicArchive  # noqa: PLC0415 - loads a client
    from app.replay.sources.kafka import KafkaRecording  # noqa: PLC0415

    recording = await stack.enter_async_context(KafkaRecording(settings.kafka))
    return TopicArchive(recording, _tell)


def _accounts(settings: Settings, instrument: str, account: str | None) -> list[str]:
    """Return whose decisions are asked for: those of each account that trades the instrument."""
    if account is not None:
        return [account]
    names = [each.name for each in settings.accounts() if instrument in each.instruments]
    if not names:
        known = dict.fromkeys(name for each in settings.accounts() for name in each.instruments)
        raise ConfigurationError(
            f"no configured account trades {instrument}, only {', '.join(known)}: correct "
            f"--instrument, or name the --account that did."
        )
    return names


def _tell(place: str, count: int, whole: int) -> None:
    """Say how far a scan has come, on a terminal."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[Kreading {place}: {count:,} of {whole:,} records", err=True, nl=False)


def _end_progress() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)


def _show(trees: list[Node]) -> None:
    from rich.console import Console  # noqa: PLC0415 - help loads nothing

    from app.replay.explain.show import show  # noqa: PLC0415

    console = Console()
    for tree in trees:
        show(tree, console)
