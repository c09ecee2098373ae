"""A moment of a run and other settings in; what would have come of them, beside the run, out."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.commands.times import refusing, time_of

if TYPE_CHECKING:
    from app.config import Settings
    from app.forks.lives import Life
    from app.forks.whatif import Request, WhatIf
    from app.forks.whatif_source import Source

NOW = "now"


@click.group()
def fork() -> None:
    """Try other settings on a copy of the run, from any of its moments on."""


@fork.command("run")
@click.option("--at", "moment", metavar="TIME|now", required=True, help="From when on.")
@click.option("--until", metavar="TIME", help="Up to when; else the end of what is recorded.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting, as accounts.paper.strategies.macd.fast=8. Repeatable.",
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="NAME:KEY=VALUE[,KEY=VALUE]",
    help="Settings of one more variant, laid over those of --set. Repeatable.",
)
@click.option(
    "--search",
    "ranges",
    multiple=True,
    metavar="KEY[=RANGE]",
    help="A variant for each value: ….macd.fast=5:20, =0.1:0.9:0.2, =5,8,13. Repeatable.",
)
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Of a search: variants at most; of more, so many are drawn.",
)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Of a search: decides the draw."
)
@click.option("--from-database", "database", is_flag=True, help="Read the run's tables.")
@click.option("--fork", "fork_id", metavar="ID", help="Read the tables of this fork of them.")
@click.option("--processes", type=click.IntRange(1, 256), help="As many as there are cores.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write the report's files here."
)
@click.option("--json", "as_json", is_flag=True, help="Print report.json.")
def run(*, out: Path | None, as_json: bool, **options: Any) -> None:
    """Run on from a moment of the run with other settings, and compare.

    TIME is like 2019-10-11T12:00Z. The run itself is only read. What is not changed is the run's
    own: cash, positions, open orders, what strategies know, limits and halts.
    """
    from rich.console import Console  # noqa: PLC0415 - help loads nothing

    from app.forks.whatif_document import report  # noqa: PLC0415
    from app.forks.whatif_page import HTML, write  # noqa: PLC0415
    from app.forks.whatif_show import show  # noqa: PLC0415

    found = asyncio.run(_run(options))
    if out is not None:
        write(out, found)
    if as_json:
        click.echo(report(found).decode(), nl=False)
    else:
        show(found, Console())
    if out is not None:
        click.echo(f"Open {out / HTML}; report.json stands beside it.", err=True)


async def _run(options: dict[str, Any]) -> WhatIf:
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.forks.whatif_request import Words, request  # noqa: PLC0415

    settings = load()
    fork_id = options["fork_id"]
    async with AsyncExitStack() as stack:
        source = await _source(settings, stack, fork_id, database=options["database"])
        moment, until = options["moment"], time_of(options["until"], "--until")
        words = Words(
            at=None if moment == NOW else time_of(moment, "--at"),
            until=until,
            settings=options["settings"],
            variants=options["variants"],
            ranges=options["ranges"],
            trials=options["trials"],
            seed=options["seed"],
        )
        processes = options["processes"] or len(os.sched_getaffinity(0))
        asked = await request(source, words, processes, _say)
        if fork_id is None:
            return await _measured(asked)
        return await _on_fork(settings, fork_id, asked)


async def _source(
    settings: Settings, stack: AsyncExitStack, fork_id: str | None, *, database: bool
) -> Source:
    """Return what is read: topics, tables, or those of a fork."""
    if fork_id is not None and database:
        raise click.UsageError("--fork and --from-database were both given, choose one.")
    if fork_id is not None:
        from app.forks.opening import open_agent  # noqa: PLC0415 - loads clients
        from app.forks.whatif_tables import Tables  # noqa: PLC0415

        agent = await stack.enter_async_context(open_agent(settings))
        return Tables(await agent.connect(fork_id))
    if database:
        from app.forks.whatif_tables import Tables  # noqa: PLC0415

        return Tables(settings.database.storage())
    from app.forks.whatif_source import Topics  # noqa: PLC0415

    return Topics(settings.kafka)


async def _on_fork(settings: Settings, fork_id: str, asked: Request) -> WhatIf:
    """Run on a fork, and write down there that it runs and what came out."""
    from app.forks.opening import open_agent  # noqa: PLC0415 - loads clients

    names = ", ".join(each.name for each in asked.variants) or "nothing changed"
    async with open_agent(settings) as agent:
        await agent.running(fork_id, f"what if: {names}")
        try:
            found = await _measured(asked)
        except BaseException as error:
            why = str(error) or "it was interrupted"
            await asyncio.shield(agent.finished(fork_id, f"it came to nothing: {why}"))
            raise
        await agent.finished(fork_id, f"compared with the run: {names}")
        return found


async def _measured(asked: Request) -> WhatIf:
    from app.commands.progress import Meter  # noqa: PLC0415 - help loads nothing
    from app.forks.whatif import whatif  # noqa: PLC0415
    from app.times import format_time  # noqa: PLC0415

    with Meter("fork", "records", None) as meter:

        async def watch(count: int, moment: int) -> None:
            meter.tell(count, f"fork {format_time(moment)[:16] if moment else ''}".rstrip())

        return await whatif(
            asked, watch, lambda done: _say(f"{done} of {len(asked.variants)} variants are done")
        )


def _say(text: str) -> None:
    """Say how far something has come, where a person or a log may read it."""
    click.echo(text, err=True)


@fork.command()
@click.option(
    "--at",
    "moment",
    metavar="TIME|now|last-snapshot",
    default=NOW,
    show_default=True,
    help="Which state of the database is copied, by the server's clock.",
)
@click.option("--ttl", metavar="DURATION", help="Kept so long, as 2h; else forks.ttl.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def create(*, moment: str, ttl: str | None, as_json: bool) -> None:
    """Make a copy of the database, to run on.

    A copy from now holds every decision there was, so an earlier --at is hardly ever needed.
    """
    life = asyncio.run(_create(moment, ttl))
    _show([life], as_json=as_json)
    if not as_json:
        click.echo(
            f"Next: lockstep fork run --fork {life.fork_id} --at TIME --set KEY=VALUE", err=True
        )


async def _create(text: str, ttl: str | None) -> Life:
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.forks.backend import Kind, Moment  # noqa: PLC0415
    from app.forks.opening import open_agent  # noqa: PLC0415
    from app.times import parse_duration  # noqa: PLC0415

    if text in (Kind.NOW, Kind.LAST_SNAPSHOT):
        moment = Moment(Kind(text))
    else:
        moment = Moment(Kind.TIME, time_of(text, "--at"))
    with refusing("--ttl"):
        kept = None if ttl is None else parse_duration(ttl)
    async with open_agent(load()) as agent:
        return await agent.create(moment, at=moment.time, ttl=kept, tell=_say)


@fork.command("list")
@click.option("--all", "every", is_flag=True, help="Also those that are gone.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_forks(*, every: bool, as_json: bool) -> None:
    """List the forks of the database."""
    lives = [life for life in asyncio.run(_lives()) if every or not life.over]
    _show(lives, as_json=as_json)
    if not lives and not as_json:
        click.echo("There is no fork: lockstep fork create makes one.", err=True)


async def _lives() -> list[Life]:
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.forks.opening import open_agent  # noqa: PLC0415

    async with open_agent(load()) as agent:
        return await agent.forks()


@fork.command("show")
@click.argument("fork_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show_fork(*, fork_id: str, as_json: bool) -> None:
    """Show one fork: how far it is, and how to look into it."""
    life, address = asyncio.run(_look(fork_id))
    _show([life], as_json=as_json)
    if address and not as_json:
        click.echo(f"Look into it: {address}", err=True)


async def _look(fork_id: str) -> tuple[Life, str]:
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.forks.opening import open_agent  # noqa: PLC0415

    async with open_agent(load()) as agent:
        life = await agent.fork(fork_id)
        if not life.usable:
            return life, ""
        reached = await agent.connect(fork_id)
    return life, f"psql -h {reached.host} -p {reached.port} -U {reached.user} {reached.name}"


@fork.command()
@click.argument("fork_ids", metavar="ID...", nargs=-1, required=True)
def delete(*, fork_ids: tuple[str, ...]) -> None:
    """Delete forks and their copies."""
    asyncio.run(_delete(fork_ids))


async def _delete(fork_ids: tuple[str, ...]) -> None:
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.forks.opening import open_agent  # noqa: PLC0415

    async with open_agent(load()) as agent:
        for fork_id in fork_ids:
            life = await agent.delete(fork_id)
            click.echo(f"{life.fork_id}\t{life.step.value}")


@fork.command()
def sweep() -> None:
    """Delete forks whose time is over, and finish what a killed process left behind."""
    for sentence in asyncio.run(_sweep()):
        click.echo(sentence)


async def _sweep() -> list[str]:
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.forks.opening import open_agent  # noqa: PLC0415
    from app.forks.sweep import Sweep  # noqa: PLC0415

    async with open_agent(load()) as agent:
        return await Sweep(agent).run()


def _show(lives: list[Life], *, as_json: bool) -> None:
    from app.times import format_time  # noqa: PLC0415 - help loads nothing

    rows = [
        {
            "fork": life.fork_id,
            "step": life.step.value,
            "since": format_time(life.since),
            "at": "now" if life.at is None else format_time(life.at),
            "backend": life.backend,
            "handle": life.handle or "",
            "expires": format_time(life.expires),
            "detail": life.detail,
        }
        for life in lives
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(_card(row) if sys.stdout.isatty() else "\t".join(row.values()))


def _card(row: dict[str, str]) -> str:
    """Return a fork as people read it, in lines that a narrow terminal holds."""
    from textwrap import TextWrapper  # noqa: PLC0415 - help loads nothing

    wide = max(len(name) for name in row)
    wrapper = TextWrapper(79, subsequent_indent=" " * (wide + 2), break_on_hyphens=False)
    lines = [
        wrapper.fill(f"{name:>{wide}}  {value}")
        for name, value in row.items()
        if name != "fork" and value not in ("", row["fork"])
    ]
    return "\n".join([row["fork"], *lines])
