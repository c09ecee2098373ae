"""What parent and forks made enters; the words for it leave, the same for every form of it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from app.core.decimals import plain
from app.core.metrics import DEFINITIONS, Figure
from app.core.metrics.figure import Figures
from app.forks.whatif import WhatIf
from app.forks.whatif_batch import Outcome, Parting
from app.forks.whatif_change import Variant
from app.forks.whatif_decision import Difference
from app.replay.explain import Node
from app.report.numbers import Money, figure
from app.times import format_time

SHOWN = ("start_equity", "end_equity", "profit", "fees", "total_return", "max_drawdown", "trips",
         "win_rate", "orders", "fills", "refusals")  # fmt: skip
"""Figures that are told beside each other."""

_TELLING = {
    "books": ("fill", "order", "portfolio"),
    "view": ("signal",),
    "weight": ("allocation", "portfolio"),
    "target": ("allocation", "signal"),
    "order": ("risk", "refusal", "order", "allocation"),
    "risk": ("risk", "refusal", "halted", "resumed"),
}
"""By what differs: which record of an explanation says why, the best first."""


def money(found: WhatIf, account: str) -> Money:
    """Return how an account's money is written."""
    configured = next(iter(found.point.rules[account].values())).account
    return Money.of(configured.quote, configured.capital)


def told(key: str, found: Figure, how: Money) -> str:
    """Return a figure as people read it."""
    return figure(DEFINITIONS[key], found, how)


def accounts(found: WhatIf) -> tuple[str, ...]:
    """Return the accounts that are compared, sorted."""
    return tuple(sorted(found.parent.figures))


def settings(variant: Variant) -> str:
    """Return what a variant changes, in one line."""
    changed = ", ".join(f"{each.key}={_text(each.value)}" for each in variant.overrides)
    return changed or "nothing"


def head(found: WhatIf) -> str:
    """Return what was compared, from when to when."""
    end = "the end of what is recorded" if found.until is None else format_time(found.until)
    since = "the beginning"
    if found.point.began is not None:
        since = f"the snapshots of {format_time(found.point.began)}"
    return (
        f"from {format_time(found.point.time)} (restored from {since}) to {end}; what is changed "
        f"acts from {format_time(found.point.decision)} on"
    )


def parting(found: Outcome, account: str) -> Parting | None:
    """Return where one account of a fork parts from its parent; none where it never does."""
    return next((each for each in found.partings if each.difference.account == account), None)


def parted(difference: Difference) -> str:
    """Return what differs, when, and what it is in each."""
    whose = [each for each in (difference.strategy, difference.instrument) if each]
    of = f" of {' on '.join(whose)}" if whose else ""
    return (
        f"at {format_time(difference.time)} the {difference.what}{of}: parent "
        f"{difference.parent}, fork {difference.fork}"
    )


def why(tree: Node | None, difference: Difference) -> str:
    """Return the sentence of an explanation that says why; empty where none does."""
    if tree is None:
        return ""
    nodes = list(_every(tree))
    for kind in _TELLING[difference.what]:
        for node in nodes:
            if node.kind == kind and _about(node, difference):
                return node.says
    return tree.says


def gained(parent: Figures, fork: Figures) -> Decimal:
    """Return how much more profit a fork made than its parent, quote currency."""
    one, two = parent["profit"].value, fork["profit"].value
    return Decimal(str(two or 0)) - Decimal(str(one or 0))


def _about(node: Node, difference: Difference) -> bool:
    named = node.says.startswith(difference.strategy) or difference.strategy in node.name
    return not difference.strategy or node.kind in ("risk", "portfolio") or named


def _every(tree: Node) -> Iterator[Node]:
    yield tree
    for each in (*tree.effects, *tree.causes):
        yield from _every(each)


def _text(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)
