"""What parent and forks made enters; a terminal's tables leave, or plain lines with tabs."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.core.metrics import DEFINITIONS
from app.forks import whatif_words as words
from app.forks.whatif import WhatIf
from app.forks.whatif_batch import PARENT, Outcome
from app.report.numbers import moment

BESIDE = 4
"""Variants that are columns beside their parent; more are rows."""

SHORT = {
    "profit": "profit",
    "max_drawdown": "drawdown",
    "orders": "orders",
    "fills": "fills",
    "fees": "fees",
}
"""Figures of a variant that is a row, and what they are called there."""


def show(found: WhatIf, console: Console) -> None:
    """Print each account's figures side by side, then where each variant parts, and why."""
    _line(console, "what if", words.head(found))
    beside = len(found.variants) <= BESIDE
    for variant in found.variants:
        _line(console, variant.variant.name, words.settings(variant.variant))
        # Of many it would bury the table.
        for note in variant.notes if beside or not console.is_terminal else ():
            _line(console, variant.variant.name, note)
    for account in words.accounts(found):
        title, rows = f"account {account}", (_beside if beside else _below)(found, account)
        _table(console, title, rows)
    for variant in found.variants:
        for account in words.accounts(found):
            _parting(console, variant, account)


def _beside(found: WhatIf, account: str) -> list[list[str]]:
    """Return a row a figure."""
    how = words.money(found, account)
    runs = (found.parent, *found.variants)
    rows = [["figure", PARENT, *(each.variant.name for each in found.variants)]]
    for key in words.SHOWN:
        values = [words.told(key, each.figures[account][key], how) for each in runs]
        rows.append([DEFINITIONS[key].label, *values])
    return rows


def _below(found: WhatIf, account: str) -> list[list[str]]:
    """Return a row a variant, the one with the most profit first."""
    how = words.money(found, account)
    parent = found.parent.figures[account]
    ranked = sorted(
        found.variants,
        key=lambda each: (-words.gained(parent, each.figures[account]), each.variant.name),
    )
    rows = [["run", *SHORT.values(), "parts at"]]
    for each in (found.parent, *ranked):
        parting = words.parting(each, account)
        at = "" if parting is None else moment(parting.difference.time)
        values = [words.told(key, each.figures[account][key], how) for key in SHORT]
        rows.append([each.variant.name, *values, at])
    return rows


def _parting(console: Console, outcome: Outcome, account: str) -> None:
    name = f"{outcome.variant.name} {account}"
    if account not in outcome.changed:
        return
    parting = words.parting(outcome, account)
    if parting is None:
        _line(console, name, "every decision is the parent's")
        return
    _line(console, name, f"first differs {words.parted(parting.difference)}")
    for run, tree in ((PARENT, parting.parent), ("fork", parting.fork)):
        why = words.why(tree, parting.difference)
        if why:
            _line(console, name, f"{run}: {why}")
    if parting.note:
        _line(console, name, parting.note)


def _table(console: Console, title: str, rows: Sequence[Sequence[str]]) -> None:
    if not console.is_terminal:
        for row in rows:
            click.echo("\t".join([title, *row]))
        return
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    first, *others = rows[0]
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)


def _line(console: Console, name: str, text: str) -> None:
    if console.is_terminal:
        console.print(Text.assemble((f"{name}  ", "bold"), text))
    else:
        click.echo(f"{name}\t{text}")
