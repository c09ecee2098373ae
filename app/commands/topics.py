"""Declared topics and a broker in; created topics, differences, or records as text out."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from app.commands.times import time_of
from app.errors import ConfigurationError, LockstepError

if TYPE_CHECKING:
    from app.runtime.browse import Line
    from app.runtime.topics import Mismatch, Topic


@click.group()
def topics() -> None:
    """Create, check, list and read topics."""


@topics.command()
def create() -> None:
    """Create the topics that are missing; refuse one that is not as declared."""
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.runtime.topics import create as create_topics  # noqa: PLC0415
    from app.runtime.topics import declared  # noqa: PLC0415

    kafka = load().kafka
    created = asyncio.run(create_topics(kafka))
    for name in created:
        click.echo(f"created {kafka.prefix}{name}")
    there = len(declared()) - len(created)
    click.echo(
        f"{len(created)} topics created, {there} were there. Next: lockstep worker", err=True
    )


@topics.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check(*, as_json: bool) -> None:
    """Compare every topic on the broker with its declaration, field by field."""
    mismatches = _check()
    if as_json:
        click.echo(json.dumps([_fields(mismatch) for mismatch in mismatches]))
    else:
        for mismatch in mismatches:
            click.echo(str(mismatch))
    if mismatches:
        raise LockstepError(
            f"{len(mismatches)} differences: `lockstep topics create` creates what is missing; a "
            f"topic that is there is never changed, so choose another kafka.prefix, or delete it."
        )
    click.echo("Every topic is as declared.", err=True)


@topics.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_topics(*, as_json: bool) -> None:
    """List every declared topic and whether the broker has it so."""
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.runtime.topics import declared  # noqa: PLC0415

    prefix = load().kafka.prefix
    fields = {mismatch.topic: mismatch.field for mismatch in _check()}
    states = {name: "missing" if field == "topic" else "differs" for name, field in fields.items()}
    rows = [
        _row(topic, prefix, states.get(prefix + topic.name, "there"))
        for topic in declared().values()
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(
            f"{row['state']:8}{row['name']:24}{row['partitions']:>3} partitions by {row['key']:12}"
            f"{', '.join(row['records'])}"
        )


@topics.command()
@click.argument("topic")
@click.option(
    "--last",
    default=10,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="How many records: the newest, or the first from OFFSET or TIME on.",
)
@click.option("--partition", type=click.IntRange(0), help="Only this partition.")
@click.option("--offset", type=click.IntRange(0), help="From this offset on.")
@click.option("--time", "moment", help="From what was appended at this time on.")
@click.option("--key", help="Only records under this key, an instrument or an account.")
@click.option("--full", is_flag=True, help="On a terminal: don't cut long lines.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def read(  # noqa: PLR0917 - click passes each option
    topic: str,
    last: int,
    partition: int | None,
    offset: int | None,
    moment: str | None,
    key: str | None,
    *,
    full: bool,
    as_json: bool,
) -> None:
    """Print records of TOPIC: place, time of appending, key and value."""
    from app.runtime.browse import Selection  # noqa: PLC0415 - help loads nothing

    if offset is not None and moment is not None:
        raise click.UsageError("--offset and --time were both given, choose one.")
    selection = Selection(topic, last, partition, offset, time_of(moment, "--time"), key)
    lines = asyncio.run(_read(selection))
    if as_json:
        click.echo(json.dumps([line.document() for line in lines]))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() and not full else None
    for line in lines:
        click.echo(cut(line.text(), width))
    if not lines:
        click.echo("No record is there.", err=True)


def cut(line: str, width: int | None) -> str:
    """Return a line no longer than a terminal is wide; none: as it is."""
    return line if width is None or len(line) <= width else f"{line[: width - 1]}…"


async def _read(selection: Any) -> list[Line]:
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.config_sources import suggest  # noqa: PLC0415
    from app.runtime.browse import browse  # noqa: PLC0415
    from app.runtime.topics import declared  # noqa: PLC0415

    if selection.topic not in declared():
        raise ConfigurationError(
            f"there is no topic {selection.topic!r}{suggest(selection.topic, declared())}"
        )
    return await browse(load().kafka, selection)


def _check() -> list[Mismatch]:
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.runtime.topics import check as check_topics  # noqa: PLC0415

    return asyncio.run(check_topics(load().kafka))


def _fields(mismatch: Mismatch) -> dict[str, str]:
    return {
        "topic": mismatch.topic,
        "field": mismatch.field,
        "was": mismatch.was,
        "must": mismatch.must,
    }


def _row(topic: Topic, prefix: str, state: str) -> dict[str, Any]:
    return {
        "name": prefix + topic.name,
        "state": state,
        "partitions": topic.partitions,
        "key": topic.key,
        "records": list(topic.records),
        "cleanup": topic.cleanup,
        "retention_days": topic.retention_days,
        "description": topic.description,
    }
