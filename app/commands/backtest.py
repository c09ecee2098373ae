"""Dump files, or what a run's topics hold, in; what an account makes of them, as a report, out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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


@click.command()
@inputs
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Write the report's files here."
)
@click.option("--json", "as_json", is_flag=True, help="Print report.json.")
def backtest(*, out: Path | None, as_json: bool, **options: Any) -> None:
    """Run an account over dump files and report what it earned.

    A file named as the exchange's public dumps are, BTCUSDT-trades-2021-01-08.csv, needs nothing
    else. TIME is like 2019-10-11T12:00Z; of files, what is before --from is history to warm up on.
    """
    said = words(options)
    report = _run(said, out)
    _say(report, out, as_json=as_json)


def _run(said: Words, out: Path | None) -> Report:
    from app.backtest.progress import Meter  # noqa: PLC0415 - help loads nothing
    from app.backtest.request import request  # noqa: PLC0415
    from app.backtest.run import backtest as run  # noqa: PLC0415
    from app.times import format_time  # noqa: PLC0415

    asked = request(said, out)
    with Meter("backtest", "trades", asked.rows) as meter:
        return asyncio.run(
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
