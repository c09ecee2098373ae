"""Dump files or a run's topics in; proof that no decision leans on what comes later, out."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from app.commands.backtest import inputs, words
from app.errors import DifferenceError

if TYPE_CHECKING:
    from app.backtest.lookahead import Finding, Slow, Verdict

RUNS = 6  # beside the cuts: two, another, and three later starts


@click.command(name="check-lookahead")
@inputs
@click.option(
    "--cuts",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="At how many random places the input is cut.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Decides where.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def check_lookahead(*, cuts: int, seed: int, as_json: bool, **options: Any) -> None:
    """Prove that no decision leans on what comes later.

    Runs the input whole and cut off at random places, each in a process that can't see the rest,
    and compares every earlier decision byte for byte. Says, too, what depends on where it began.
    """
    verdict = _check(cuts, seed, options)
    if as_json:
        click.echo(json.dumps(asdict(verdict)))
    if verdict.finding is not None:
        if not as_json:
            _say_finding(verdict.finding)
        raise DifferenceError(sentence(verdict.finding))
    if not as_json:
        _say(verdict)


def _check(cuts: int, seed: int, options: dict[str, Any]) -> Verdict:
    from app.backtest.lookahead import check  # noqa: PLC0415 - help loads nothing
    from app.backtest.request import request  # noqa: PLC0415
    from app.commands.progress import Meter  # noqa: PLC0415

    asked = request(words(options))
    for note in asked.run.notes:
        click.echo(note, err=True)
    with Meter("check", "runs", cuts + RUNS) as meter:
        return check(asked.run.source, cuts, seed, meter.tell)


def sentence(finding: Finding) -> str:
    """Return what was found, in one sentence."""
    from app.times import format_time  # noqa: PLC0415 - help loads nothing

    stage = finding.stage or "something"
    if finding.cut is None:
        where = f"at {format_time(finding.time)} a second run of the same input decided otherwise"
        why = {
            "remembers another run": "something outlives a run, as a global or a class does",
        }.get(finding.kind, "it takes the time, chance, or the order of a set")
        return f"{stage} {finding.kind}: {where}, so {why}."
    where = f"with the input cut after {format_time(finding.cut)}"
    if finding.failure:
        return f"{stage} {finding.kind}: {where} it failed ({finding.failure})."
    field = f" ({finding.field})" if finding.field else ""
    return (
        f"{stage} {finding.kind}: {where}, what it decided at {format_time(finding.time)} is "
        f"another{field}."
    )


def _say(verdict: Verdict) -> None:
    from app.report.numbers import counted  # noqa: PLC0415 - help loads nothing

    click.echo(
        f"no look-ahead: {counted(len(verdict.cuts), 'cut')} changed none of "
        f"{counted(verdict.decisions, 'decision')} before them, and 3 whole runs were the same."
    )
    for line in slow_lines(verdict.slow):
        click.echo(line, err=True)
    if not verdict.starts:
        click.echo("Warm-up was not checked: the input is too short to begin later.", err=True)


def slow_lines(slow: list[Slow]) -> list[str]:
    """Return a line for every strategy and field: the slowest of it."""
    from app.times import format_time  # noqa: PLC0415 - help loads nothing

    worst: dict[tuple[str, str], Slow] = {}
    for each in slow:
        key = (each.strategy, each.field)
        if key not in worst or _longer(each, worst[key]):
            worst[key] = each
    return [
        f"{each.strategy}: after a start at {format_time(each.start)} {each.field} took "
        f"{'longer than the data' if each.needed is None else f'{each.needed:,} base intervals'} "
        f"to agree on {each.instrument}; the strategy declares {each.declared:,} to warm up."
        for _, each in sorted(worst.items())
    ]


def _longer(one: Slow, other: Slow) -> bool:
    return one.needed is None or (other.needed is not None and one.needed > other.needed)


def _say_finding(finding: Finding) -> None:
    from app.times import format_time  # noqa: PLC0415 - help loads nothing

    click.echo(f"first difference: {finding.name or finding.stage} at {format_time(finding.time)}")
    if finding.field:
        click.echo(f"  field      {finding.field}")
    if not finding.failure:
        click.echo(f"  whole run  {finding.expected or 'nothing'}")
        click.echo(f"  {'cut run' if finding.cut else 'again':9}  {finding.found or 'nothing'}")
