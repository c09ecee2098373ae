"""Settings in; each stage's lag and what it waits for, as a table or JSON, out."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import click

from app.errors import UnreachableError

if TYPE_CHECKING:
    from app.runtime.status import DatabaseStatus, StageStatus, Status

COLUMNS = ("stage", "workers", "lag", "through", "waits for")
NUMBERS = ("workers", "lag")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def status(*, as_json: bool) -> None:
    """Show each stage's lag and what it waits for."""
    found = asyncio.run(_ask())
    if as_json:
        click.echo(json.dumps(document(found)))
    else:
        _show(found)
    if found.database.refused:
        raise UnreachableError(found.database.problem)


def _show(found: Status) -> None:
    rows = [row for stage in found.stages for row in _rows(stage, found.database.problem)]
    if sys.stdout.isatty():
        _table(rows)
    else:
        for line in _lines(rows):
            click.echo(line)
    for line in _notes(found):
        click.echo(line)


async def _ask() -> Status:
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.runtime.status import status as ask  # noqa: PLC0415

    settings = load()
    return await ask(settings.kafka, settings.database.storage())


def document(found: Status) -> dict[str, Any]:
    """Return a status for scripts; times are RFC 3339, null where there is none."""
    return {
        "stages": [_stage(stage) for stage in found.stages],
        "gaps": [
            {"instrument": instrument, "first_id": gap.first_id, "last_id": gap.last_id,
             "from": _time(gap.from_time), "to": _time(gap.to_time), "reason": gap.reason}
            for instrument, gaps in sorted(found.gaps.items())
            for gap in gaps
        ],
        "dead_letters": found.dead_letters,
        "database": _database(found.database),
    }  # fmt: skip


def _stage(stage: StageStatus) -> dict[str, Any]:
    return {
        "stage": stage.stage,
        "workers": list(stage.workers),
        "lag": stage.lag,
        "time": _time(stage.time),
        "waiting": stage.waiting,
    }


def _database(database: DatabaseStatus) -> dict[str, Any]:
    health = database.health
    return {
        "well": not database.problem,
        "problem": database.problem or None,
        "server": health and health.server,
        "extension": health and health.extension,
        "edition": health and health.edition,
        "milliseconds": health and round(health.milliseconds, 3),
    }


def _time(milliseconds: int) -> str | None:
    from app.times import format_time  # noqa: PLC0415 - help loads nothing

    return format_time(milliseconds) if milliseconds else None


def _rows(stage: StageStatus, problem: str) -> list[tuple[str, ...]]:
    """Return a stage's row, and one more for each further key that waits.

    The database's problem is said once, below.
    """
    waiting = [
        f"{key}: {'see below' if problem and text == problem else text}"
        for key, text in stage.waiting.items()
    ] or [""]
    workers = str(len(stage.workers)) if stage.workers else "nobody"
    first = (stage.stage, workers, str(stage.lag), _time(stage.time) or "-", waiting[0])
    return [first, *(("", "", "", "", text) for text in waiting[1:])]


def _table(rows: list[tuple[str, ...]]) -> None:
    from rich.console import Console  # noqa: PLC0415 - help loads nothing
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, justify="right" if name in NUMBERS else "left")
    for row in rows:
        table.add_row(*map(Text, row))  # a text of ours may hold what rich takes for markup
    Console().print(table)


def _lines(rows: list[tuple[str, ...]]) -> list[str]:
    table = [COLUMNS, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if name in NUMBERS else cell.ljust(width)
            for name, cell, width in zip(COLUMNS, row, widths, strict=True)
        ).rstrip()
        for row in table
    ]


def _notes(found: Status) -> list[str]:
    gaps = [
        f"gap open: {instrument} from trade {gap.first_id} on, {gap.reason}"
        for instrument, open_gaps in sorted(found.gaps.items())
        for gap in open_gaps
    ]
    letters = "Read them: lockstep topics read dead-letters" if found.dead_letters else ""
    return [
        *(gaps or ["gaps open: none"]),
        f"dead letters: {found.dead_letters}. {letters}".rstrip(". "),
        *([] if found.database.refused else [f"database: {_health(found.database)}"]),
    ]


def _health(database: DatabaseStatus) -> str:
    health = database.health
    if database.problem or health is None:
        return database.problem
    extension = f"TimescaleDB {health.extension} {health.edition}"
    return f"well, PostgreSQL {health.server}, {extension}, {health.milliseconds:.1f} ms"
