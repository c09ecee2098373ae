"""What parent and forks made enters; `report.json` leaves: the same bytes for the same runs."""

from __future__ import annotations

from typing import Any

from app.forks import whatif_words as words
from app.forks.whatif import WhatIf
from app.forks.whatif_batch import Outcome, Parting
from app.replay.explain import Node, document
from app.report.document import account, dump, figures
from app.times import format_time

SCHEMA = "lockstep-whatif-1"


def report(found: WhatIf) -> bytes:
    """Return `report.json`, indented, with a line end."""
    return dump(content(found))


def content(found: WhatIf) -> dict[str, Any]:
    """Return the document as JSON can hold it."""
    began = found.point.began
    return {
        "schema": SCHEMA,
        "at": format_time(found.point.time),
        "first_decision": format_time(found.point.decision),
        "until": None if found.until is None else format_time(found.until),
        "restored_from": None if began is None else format_time(began),
        "parent": _run(found.parent),
        "variants": [
            {
                "name": each.variant.name,
                "settings": {one.key: one.value for one in each.variant.overrides},
                "changed": list(each.changed),
                "notes": list(each.notes),
                **_run(each),
                "first_differences": [_parting(one) for one in each.partings],
            }
            for each in found.variants
        ],
    }


def _run(outcome: Outcome) -> dict[str, Any]:
    """Return a run's figures by account, and all there is of those that are drawn."""
    summary = outcome.summary
    return {
        "figures": {name: figures(each) for name, each in sorted(outcome.figures.items())},
        "accounts": [] if summary is None else [account(each) for each in summary.accounts],
    }


def _parting(parting: Parting) -> dict[str, Any]:
    difference = parting.difference
    return {
        "account": difference.account,
        "time": format_time(difference.time),
        "what": difference.what,
        "strategy": difference.strategy or None,
        "instrument": difference.instrument or None,
        "parent": difference.parent,
        "fork": difference.fork,
        "why": {
            "parent": words.why(parting.parent, difference) or None,
            "fork": words.why(parting.fork, difference) or None,
        },
        "explained": {"parent": _tree(parting.parent), "fork": _tree(parting.fork)},
        "note": parting.note or None,
    }


def _tree(tree: Node | None) -> dict[str, Any] | None:
    return None if tree is None else document(tree)
