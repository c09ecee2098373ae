"""Two reports enter; what differs between them leaves: settings, figures, the first other order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.core.metrics import DEFINITIONS, AccountSummary, Figure
from app.core.metrics.book import PlacedOrder
from app.report.document import dump, figures, order
from app.report.run import Report, RunInfo
from app.report.sections.parameters import settings

SCHEMA = "lockstep-comparison-1"


class ComparisonError(ValueError):
    """Two reports have no account to compare; the sentence says what they have."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A parameter that was not the same; none where there was no such parameter."""

    name: str
    left: str | None
    right: str | None


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where the orders part.

    Attributes:
        same: How many orders before were the same in both.
        left, right: The first that differ, in the order of (time, instrument, strategy); none
            where one run had no more.
    """

    same: int
    left: PlacedOrder | None
    right: PlacedOrder | None


@dataclass(frozen=True, slots=True)
class Pairing:
    """One account in both runs.

    Attributes:
        left, right: As measured.
        settings: What was configured otherwise.
        divergence: Where the orders part; none where they are all the same.
    """

    left: AccountSummary
    right: AccountSummary
    settings: tuple[Setting, ...]
    divergence: Divergence | None

    def figures(self) -> list[tuple[str, Figure, Figure]]:
        """Return every figure of both, in the order of the definitions."""
        return [(key, self.left.figures[key], self.right.figures[key]) for key in DEFINITIONS]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        left: The first, for example the parent.
        right: The second, for example the fork.
        pairings: Their accounts, sorted by name.
    """

    left: RunInfo
    right: RunInfo
    pairings: tuple[Pairing, ...]


def compare(left: Report, right: Report) -> Comparison:
    """Return what differs between two runs.

    Accounts are paired by name; if each run has one only, those two, whatever their names.

    Raises:
        ComparisonError: They have no account in common.
    """
    first = {each.name: each for each in left.summary.accounts}
    second = {each.name: each for each in right.summary.accounts}
    pairs = [(first[name], second[name]) for name in sorted(first) if name in second]
    if not pairs and len(first) == len(second) == 1:
        pairs = [(*first.values(), *second.values())]  # type: ignore[list-item]
    if not pairs:
        raise ComparisonError(
            f"{left.info.run} has the accounts {', '.join(first)} and {right.info.run} has "
            f"{', '.join(second)}: compare two runs that have an account in common."
        )
    return Comparison(left.info, right.info, tuple(_pairing(one, two) for one, two in pairs))


def comparison_document(comparison: Comparison) -> bytes:
    """Return `comparison.json`, as `report.json` is written."""
    return dump(content(comparison))


def content(comparison: Comparison) -> dict[str, Any]:
    """Return the document as JSON can hold it."""
    return {
        "schema": SCHEMA,
        "left": {"run": comparison.left.run, "title": comparison.left.title},
        "right": {"run": comparison.right.run, "title": comparison.right.title},
        "accounts": [_document(each) for each in comparison.pairings],
    }


def divergence(left: Sequence[PlacedOrder], right: Sequence[PlacedOrder]) -> Divergence | None:
    """Return where two rows of orders part; none where they are the same."""
    same = 0
    for one, two in zip(left, right, strict=False):
        if one != two:
            break
        same += 1
    if same == len(left) == len(right):
        return None
    return Divergence(
        same,
        left[same] if same < len(left) else None,
        right[same] if same < len(right) else None,
    )


def _pairing(left: AccountSummary, right: AccountSummary) -> Pairing:
    one, two = settings(left), settings(right)
    names = list(dict.fromkeys([*one, *two]))
    changed = tuple(
        Setting(name, one.get(name), two.get(name))
        for name in names
        if one.get(name) != two.get(name)
    )
    return Pairing(left, right, changed, divergence(left.activity.orders, right.activity.orders))


def _document(pairing: Pairing) -> dict[str, Any]:
    parted = pairing.divergence
    return {
        "left": pairing.left.name,
        "right": pairing.right.name,
        "settings": [
            {"name": each.name, "left": each.left, "right": each.right} for each in pairing.settings
        ],
        "figures": {
            "left": figures(pairing.left.figures),
            "right": figures(pairing.right.figures),
        },
        "first_difference": None
        if parted is None
        else {
            "same_before": parted.same,
            "left": None if parted.left is None else order(parted.left),
            "right": None if parted.right is None else order(parted.right),
        },
    }
