"""The database's settings in; its schema brought up to date, checked or listed out."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from app.storage.migrations import Applied

Task = Literal["apply", "check", "list"]


@click.command()
@click.option("--check", "task", flag_value="check", help="Change nothing; fail if not up to date.")
@click.option("--list", "task", flag_value="list", help="Change nothing; list what was applied.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def migrate(task: Task | None, *, as_json: bool) -> None:
    """Bring the database's schema up to date."""
    schema, had = asyncio.run(_run(task or "apply"))
    if as_json:
        click.echo(json.dumps([_fields(item) for item in had]))
    elif task == "list":
        for item in had:
            click.echo(f"{item.name}  {item.applied_at:%Y-%m-%d %H:%M:%S} UTC  {item.edition}")
    _explain(schema, had)


async def _run(task: Task) -> tuple[str, list[Applied]]:
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.storage import migrations  # noqa: PLC0415
    from app.storage.database import Database  # noqa: PLC0415

    settings = load().database.storage()
    async with Database(settings) as database:
        if task == "list":
            return settings.schema, await migrations.applied(database)
        if task == "check":
            return settings.schema, await migrations.check(database)
        return settings.schema, await migrations.apply(database, _say)


def _say(name: str) -> None:
    click.echo(f"applying {name}", err=True)


def _explain(schema: str, had: list[Applied]) -> None:
    omitted = list(dict.fromkeys(what for item in had for what in item.left_out))
    if omitted:
        click.echo(f"left out on the {had[-1].edition} edition: {'; '.join(omitted)}", err=True)
    if had:
        click.echo(
            f"Schema {schema} has {len(had)} migrations, {had[-1].edition} edition.", err=True
        )
    else:
        click.echo(f"Schema {schema} has no migrations yet: run `lockstep migrate`.", err=True)


def _fields(item: Applied) -> dict[str, object]:
    return {
        "number": item.number,
        "name": item.name,
        "sha256": item.sha256,
        "applied_at": item.applied_at.isoformat(),
        "edition": item.edition,
        "left_out": list(item.left_out),
    }
