"""What a search found enters; tables and a warning for people leave, or one document."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from app.backtest.grid import Axis, Combination
from app.backtest.search import Outcome, Plan
from app.backtest.windows import WindowScore
from app.report.numbers import counted, moment, ratio, share
from app.times import format_time

SHOWN = 20
TABLE = "search.csv"
NONE = "\u2013"


def show(plan: Plan, outcome: Outcome, folder: Path | None, *, as_json: bool) -> None:
    """Print what was found, and write the whole table into a folder."""
    if folder is not None:
        _write(folder / TABLE, plan, outcome)
    if as_json:
        click.echo(orjson.dumps(document(plan, outcome), option=orjson.OPT_INDENT_2).decode())
        return
    console = Console()
    _table(console, "walk forward", *_walk(plan, outcome))
    _table(console, "combinations, best out of sample first", *_results(plan, outcome))
    for line in warnings(outcome):
        click.echo(f"warning\t{line}")


def document(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    """Return what was found as JSON can hold it."""
    return {
        "schema": "lockstep-search-1",
        "axes": [axis.key for axis in plan.axes],
        "tried": len(outcome.results),
        "wanted": outcome.wanted,
        "windows": [
            {
                "picked": list(pick.values),
                **_window(pick.score),
            }
            for pick in outcome.picks
        ],
        "walk_forward_return": walked(outcome),
        "expected_best_by_chance": outcome.by_chance,
        "results": [
            {
                "values": list(each.values),
                "in_sample": each.inside,
                "out_of_sample": each.outside,
                "windows": [_window(one) for one in each.windows],
            }
            for each in outcome.results
        ],
        "warnings": warnings(outcome),
    }


def warnings(outcome: Outcome) -> list[str]:
    """Return what a reader must know before believing a figure."""
    if not outcome.results:
        return ["no combination was finished, so there is nothing to compare."]
    tried = counted(len(outcome.results), "combination was", "combinations were")
    found = [f"{tried} tried: the best of many looks good by chance alone."]
    best = max(each.inside for each in outcome.results)
    if outcome.by_chance is not None:
        found.append(
            f"Had none any skill, the best of so many over so long would still be expected at an "
            f"in-sample Sharpe ratio of up to {ratio(outcome.by_chance)}; it was {ratio(best)} "
            f"(Bailey and Lopez de Prado, The Deflated Sharpe Ratio, 2014). Believe the walk "
            f"forward, and new data, before either."
        )
    return found


def stopped(outcome: Outcome, folder: Path | None) -> str:
    """Return what to say of a search that was interrupted."""
    advice = (
        "run the same command again to go on"
        if folder
        else "with --out it could go on where it stopped"
    )
    return f"Stopped after {len(outcome.results):,} of {outcome.wanted:,} combinations: {advice}."


def walked(outcome: Outcome) -> float:
    """Return what the picks gained out of sample, one window after the other, compounded."""
    return math.prod(1.0 + (pick.score.outside.gained or 0.0) for pick in outcome.picks) - 1.0


def _window(score: WindowScore) -> dict[str, Any]:
    window = score.window
    return {
        "from": format_time(window.start),
        "pick_at": format_time(window.turn),
        "until": format_time(window.end),
        "in_sample": asdict(score.inside),
        "out_of_sample": asdict(score.outside),
    }


def _walk(plan: Plan, outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    head = ["from", "pick at", "until", "picked", "in sample", "out of sample", "return"]
    rows = [
        [
            *(
                moment(each)
                for each in (pick.score.window.start, pick.score.window.turn, pick.score.window.end)
            ),
            _values(plan.axes, pick.values),
            _ratio(pick.score.inside.sharpe),
            _ratio(pick.score.outside.sharpe),
            _share(pick.score.outside.gained),
        ]
        for pick in outcome.picks
    ]
    if rows:
        rows.append(["", "", "", "all", "", "", _share(walked(outcome))])
    return head, rows


def _results(plan: Plan, outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    head = [*(axis.path[-1] for axis in plan.axes), "in sample", "out of sample"]
    rows = [
        [*each.values, ratio(each.inside), ratio(each.outside)] for each in outcome.results[:SHOWN]
    ]
    left = len(outcome.results) - SHOWN
    if left > 0:
        rows.append(["\u2026"] * len(plan.axes) + [f"{left:,} more", ""])
    return head, rows


def _table(console: Console, title: str, head: Sequence[str], rows: list[list[str]]) -> None:
    if not console.is_terminal:
        for row in (head, *rows):
            click.echo("\t".join([title.partition(",")[0], *row]))
        return
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
    for name in head:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _write(path: Path, plan: Plan, outcome: Outcome) -> None:
    """Write a row for every combination, best out of sample first."""
    names = ("in_sample", "out_of_sample")
    windows = [f"{name}_{number + 1}" for number in range(plan.windows) for name in names]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*(axis.key for axis in plan.axes), *names, *windows])
        for each in outcome.results:
            by_window = [
                score.sharpe for one in each.windows for score in (one.inside, one.outside)
            ]
            writer.writerow([*each.values, each.inside, each.outside, *by_window])


def _values(axes: Sequence[Axis], values: Combination) -> str:
    return " ".join(f"{axis.path[-1]}={value}" for axis, value in zip(axes, values, strict=True))


def _ratio(value: float | None) -> str:
    return NONE if value is None else ratio(value)


def _share(value: float | None) -> str:
    return NONE if value is None else share(value, plus=True)
