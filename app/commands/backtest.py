"""Dump files, or what a run's topics hold, in; what an account makes of them, as a report, out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app import running
from app.errors import INTERRUPTED

if TYPE_CHECKING:
    from app.backtest.request import Words
    from app.report import Report

Command = Callable[..., Any]

_INPUTS: tuple[Callable[[Command], Command], ...] = (
    click.argument("files", nargs=-1, metavar="[FILE]..."),
    click.option(
        "--instrument",
        "instruments",
        multiple=True,
        metavar="NAME",
        help="Whose trades the files hold, as BINANCE:BTCUSDT: one for all, or one for each.",
    ),
    click.option(
        "--input",
        "named",
        multiple=True,
        metavar="NAME=FILE",
        help="A file and whose trades it holds. Repeatable: each continues the one before.",
    ),
    click.option("--topics", is_flag=True, help="Take what the topics of the run hold instead."),
    click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Accounts and all else from this file only, laid out as app.yaml.",
    ),
    click.option("--from", "start", metavar="TIME", help="Decide from then on."),
    click.option("--to", "end", metavar="TIME", help="What is at or after it is left out."),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="A setting, as accounts.paper.strategies.macd.fast=8. Repeatable.",
    ),
)


def inputs(command: Command) -> Command:
    """Add the options that say what is fed, and under which settings."""
    for add in reversed(_INPUTS):
        command = add(command)
    return command


def words(options: dict[str, Any]) -> Words:
    """Return what the options of `inputs` said."""
    from app.backtest.request import Words  # noqa: PLC0415 - help loads nothing

    names = ("files", "instruments", "named", "topics", "config", "start", "end", "settings")
    return Words(**{name: options.pop(name) for name in names})


_SEARCH: tuple[Callable[[Command], Command], ...] = (
    click.option(
        "--search",
        "ranges",
        multiple=True,
        metavar="KEY[=RANGE]",
        help="Try values: ….macd.fast=5:20, =0.1:0.9:0.2, =5,8,13, or all that it declares.",
    ),
    click.option(
        "--trials",
        type=click.IntRange(min=1),
        default=200,
        show_default=True,
        help="Of a search: combinations at most; of more, so many are drawn.",
    ),
    click.option(
        "--windows",
        type=click.IntRange(1, 100),
        default=4,
        show_default=True,
        help="Of a search: steps of the walk forward.",
    ),
    click.option(
        "--seed", type=int, default=1, show_default=True, help="Of a search: decides the draw."
    ),
    click.option(
        "--processes", type=click.IntRange(1, 256), help="Of a search: as many as there are cores."
    ),
)


def search_options(command: Command) -> Command:
    """Add the options of a search."""
    for add in reversed(_SEARCH):
        command = add(command)
    return command


@click.command()
@inputs
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write the report's files here."
)
@click.option("--json", "as_json", is_flag=True, help="Print report.json.")
@search_options
def backtest(*, out: Path | None, as_json: bool, **options: Any) -> None:
    """Run an account over dump files and report what it earned.

    A file named as the exchange's public dumps are, BTCUSDT-trades-2021-01-08.csv, needs nothing
    else. TIME is like 2019-10-11T12:00Z; of files, what is before --from is history to warm up on.
    """
    said = words(options)
    if options["ranges"]:
        _search(said, out, options, as_json=as_json)
    else:
        _say(_run(said, out), out, as_json=as_json)


def _search(said: Words, out: Path | None, options: dict[str, Any], *, as_json: bool) -> None:
    """Search, and say what was found, also where it was interrupted."""
    from app.backtest import search_view  # noqa: PLC0415 - help loads nothing
    from app.backtest.journal import Journal  # noqa: PLC0415
    from app.backtest.request import search_request  # noqa: PLC0415
    from app.backtest.search import outcome, search  # noqa: PLC0415
    from app.commands.progress import Meter  # noqa: PLC0415

    plan = search_request(
        said,
        options["ranges"],
        most=options["trials"],
        windows=options["windows"],
        seed=options["seed"],
    )
    journal = Journal(out, plan.terms())
    processes = options["processes"] or len(os.sched_getaffinity(0))
    interrupted = False
    with Meter("search", "combinations", len(plan.accounts)) as meter:
        try:
            search(plan, journal, processes, meter.tell)
        except KeyboardInterrupt:
            interrupted = True
    found = outcome(plan, journal)
    search_view.show(plan, found, out, as_json=as_json)
    if interrupted:
        click.echo(search_view.stopped(found, out), err=True)
        raise click.exceptions.Exit(INTERRUPTED)


def _run(said: Words, out: Path | None) -> Report:
    from app.backtest.request import request  # noqa: PLC0415 - help loads nothing
    from app.backtest.run import backtest as run  # noqa: PLC0415
    from app.commands.progress import Meter  # noqa: PLC0415
    from app.times import format_time  # noqa: PLC0415

    asked = request(said, out)
    with Meter("backtest", "trades", asked.rows) as meter:
        return running.run(
            run(asked.run, lambda count, moment: meter.tell(count, format_time(moment)[:16]))
        )


def _say(report: Report, out: Path | None, *, as_json: bool) -> None:
    from rich.console import Console  # noqa: PLC0415 - help loads nothing

    from app.report import document, print_summary  # noqa: PLC0415

    if as_json:
        click.echo(document(report).decode(), nl=False)
    else:
        print_summary(report, Console())
    if out is not None:
        click.echo(f"Open {out / 'report.html'}; the data stand beside it.", err=True)
