"""A run's topics, its tables or dump files in; all that the pipeline makes of them again, out."""

from __future__ import annotations

import json
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app import running
from app.errors import ConfigurationError

if TYPE_CHECKING:
    from app.market.importing import Dump
    from app.replay.session import Report, Request, Tell, Writer


@click.command()
@click.option("--from", "start", metavar="TIME", help="What enters from then on counts.")
@click.option("--to", "end", metavar="TIME", help="What enters before then counts.")
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="[INSTRUMENT=]FILE",
    help="Replay a dump in place of the run. Repeatable: each continues the one before.",
)
@click.option("--instrument", metavar="NAME", help="Whose trades the files hold.")
@click.option("--account", "accounts", multiple=True, help="Only this account. With --file.")
@click.option("--from-database", "database", is_flag=True, help="Replay the run's tables.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write files here.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    show_default=True,
    help="What files --out writes, one a topic.",
)
@click.option("--topics", "prefix", metavar="PREFIX", help="Write to topics behind this prefix.")
@click.option("--table", is_flag=True, help="Add what came out to the table `replays`.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def replay(  # noqa: PLR0917 - click passes each option
    start: str | None,
    end: str | None,
    files: tuple[str, ...],
    instrument: str | None,
    accounts: tuple[str, ...],
    out: Path | None,
    form: str,
    prefix: str | None,
    *,
    database: bool,
    table: bool,
    as_json: bool,
) -> None:
    """Make a run again, from its topics, its tables or dump files.

    TIME is like 2019-10-11T12:00Z, or a place on a topic: trades/PARTITION/OFFSET.
    """
    from app.replay.session import Request  # noqa: PLC0415 - help loads nothing

    if files and database:
        raise click.UsageError("--file and --from-database were both given, choose one.")
    if accounts and not files:
        raise click.UsageError("--account was given without --file: a run has its own accounts.")
    request = Request(dumps(files, instrument), accounts, database, start, end)
    report = running.run(_run(request, out, form, prefix, table=table))
    if as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        _say(report)


def dumps(files: tuple[str, ...], instrument: str | None) -> tuple[Dump, ...]:
    """Return the dumps that options name, an instrument each.

    Raises:
        click.UsageError: A file has no instrument, or an instrument no file.
    """
    from app.market.importing import Dump  # noqa: PLC0415 - help loads nothing

    found: dict[str, list[Path]] = {}
    for text in files:
        name, equals, path = text.rpartition("=")
        if not Path(path).is_file():
            raise ConfigurationError(f"there is no file {path!r}.")
        owner = name if equals else instrument
        if not owner:
            raise click.UsageError(
                f"whose trades does {text} hold? Add --instrument BINANCE:SYMBOL, or write "
                f"BINANCE:SYMBOL={text}."
            )
        found.setdefault(owner, []).append(Path(path))
    if instrument and instrument not in found:
        raise click.UsageError("--instrument was given without --file.")
    return tuple(Dump(name, tuple(paths)) for name, paths in found.items())


async def _run(
    request: Request, out: Path | None, form: str, prefix: str | None, *, table: bool
) -> Report:
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.replay.session import replay as run  # noqa: PLC0415

    settings = load()
    async with AsyncExitStack() as stack:
        database = None
        if table:
            from app.storage.database import Database  # noqa: PLC0415

            database = await stack.enter_async_context(Database(settings.database.storage()))
        writers = await _writers(settings, out, form, prefix)
        report = await run(settings, request, writers, _progress())
        if database is not None:
            from app.replay.writers.table import store  # noqa: PLC0415

            await store(database, settings, request, report)
    return report


async def _writers(settings: Any, out: Path | None, form: str, prefix: str | None) -> list[Writer]:
    writers: list[Writer] = []
    if out is not None:
        from app.replay.writers.files import csv_folder, parquet_folder  # noqa: PLC0415

        writers.append(csv_folder(out) if form == "csv" else parquet_folder(out))
    if prefix is not None:
        from app.replay.writers.topics import TopicWriter  # noqa: PLC0415

        if prefix == settings.kafka.prefix:
            raise ConfigurationError(
                f"--topics was {prefix!r}, the prefix of the run itself: name another one."
            )
        cluster = settings.kafka.model_copy(update={"prefix": prefix})
        writers.append(await TopicWriter.open(cluster))
    return writers


def _progress() -> Tell | None:
    """Return what shows how far it has come, on a terminal."""
    if not sys.stderr.isatty():
        return None
    from app.times import format_time  # noqa: PLC0415 - help loads nothing

    def tell(count: int, moment: int) -> None:
        click.echo(f"\r{format_time(moment)[:19]}  {count:,} records", err=True, nl=False)

    return tell


def _say(report: Report) -> None:
    from app.times import format_time  # noqa: PLC0415 - help loads nothing

    if sys.stderr.isatty():
        click.echo("\r", err=True, nl=False)
    since = "the beginning"
    if report.snapshot is not None:
        since = f"the snapshots of {format_time(report.snapshot)}"
    click.echo(
        f"replayed {report.records:,} records of {report.source} from {since} in "
        f"{report.seconds:.1f} s"
    )
    for topic, count in report.counts.items():
        click.echo(f"  {topic:12} {count:>10,}  {report.digests[topic]}")
    if not report.counts:
        click.echo("  nothing was made: no record lay in that time.")
    for note in report.notes:
        click.echo(f"  {note}", err=True)
    for name, text in report.waiting.items():
        click.echo(f"  {name} waits for {text}", err=True)
