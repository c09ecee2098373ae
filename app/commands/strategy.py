"""The name of a strategy in; its files, or what there are of strategies, out."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from app.errors import ConfigurationError

NUMBERS = 1e15


@click.group()
def strategy() -> None:
    """Write strategies of your own, and list those there are."""


@strategy.command()
@click.argument("name")
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to write it; otherwise the folder `strategies` beside app.yaml.",
)
def new(name: str, folder: Path | None) -> None:
    """Write NAME.py, a strategy that works, and test_NAME.py beside it."""
    from app.authoring.loading import check_name, home, places  # noqa: PLC0415 - help loads nothing
    from app.authoring.template import STRATEGY, TEST, filled  # noqa: PLC0415

    check_name(name, "lockstep strategy new")
    _check_free(name)
    folder = (folder or home()).absolute()
    files = {folder / f"{name}.py": STRATEGY, folder / f"test_{name}.py": TEST}
    for file in files:
        if file.exists():
            raise ConfigurationError(f"{file} is there already: choose another name or --folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        file.write_text(filled(text, name), encoding="utf-8")
        click.echo(str(file))
    known = folder in places() or folder == home()
    found = "" if known else f"export LOCKSTEP_STRATEGIES={folder}, so that it is found; "
    click.echo(
        f"Next: {found}python -m pytest {folder / f'test_{name}.py'}; name it for an account in "
        f"app.yaml; lockstep topics create",
        err=True,
    )


@strategy.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def list_strategies(*, as_json: bool) -> None:
    """List every strategy: where it is from, and its parameters with their ranges."""
    strategies = _strategies()
    if as_json:
        click.echo(json.dumps(strategies))
        return
    for each in strategies:
        click.echo(f"{each['name']}  ({each['origin']})")
        for item in each["parameters"]:
            limits = f"{_number(item['lowest'])} to {_number(item['highest'])}"
            click.echo(
                f"  {item['name']:12} {_number(item['default']):>8}   {limits:20} {item['meaning']}"
            )


def _check_free(name: str) -> None:
    from app.authoring.loading import ORIGINS  # noqa: PLC0415 - help loads nothing
    from app.pipeline import EDGES, STAGES  # noqa: PLC0415

    if name in (*EDGES, *(stage.name for stage in STAGES)):
        raise ConfigurationError(
            f"the name {name!r} is taken by {ORIGINS.get(name, 'a stage of Lockstep')}: choose "
            f"another one."
        )


def _strategies() -> list[dict[str, Any]]:
    import app.pipeline  # noqa: F401, PLC0415 - loads the strategies from outside
    from app.authoring.loading import ORIGINS  # noqa: PLC0415
    from app.core.strategies import STRATEGIES  # noqa: PLC0415

    return [
        {
            "name": name,
            "origin": ORIGINS.get(name, "Lockstep"),
            "parameters": [asdict(item) for item in known.declared()],
        }
        for name, known in STRATEGIES.items()
    ]


def _number(value: float) -> str:
    return f"{value:.15g}" if abs(value) < NUMBERS else str(value)
