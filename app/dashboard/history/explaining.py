"""A name or a moment enters; the tree of what caused it, in the API's form, leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from app.dashboard.errors import BAD_NAME, MISSING, AnswerError
from app.errors import ConfigurationError, LockstepError, UnreachableError
from app.replay.explain import Moment, Node, document, explain, gather_moment, gather_named
from app.replay.explain.from_tables import TableArchive
from app.storage.database import Database
from app.storage.errors import DatabaseBusyError


async def explained(database: Database, name: str) -> dict[str, Any]:
    """Return why a record is as it is; raises AnswerError."""
    try:
        cases = await gather_named(TableArchive(database), name)
    except LockstepError as error:
        raise _answer(error) from error
    except OverflowError as error:
        raise AnswerError(BAD_NAME, f"{name[:80]!r} holds a time beyond all calendars.") from error
    return _shown([explain(case) for case in cases])


async def undecided(database: Database, moments: Sequence[Moment]) -> dict[str, Any]:
    """Return what was decided at some moments, and why nothing else; raises AnswerError."""
    try:
        cases = [await gather_moment(TableArchive(database), moment) for moment in moments]
    except LockstepError as error:
        raise _answer(error) from error
    return _shown([explain(case) for case in cases])


def _answer(error: LockstepError) -> Exception:
    """Return the answer to what could not be explained; an absent database stays itself."""
    if isinstance(error, UnreachableError | DatabaseBusyError):
        return error
    if isinstance(error, ConfigurationError):
        return AnswerError(BAD_NAME, str(error))
    return AnswerError(MISSING, str(error))


def _shown(trees: Sequence[Node]) -> dict[str, Any]:
    return {"explanations": [_node(tree) for tree in trees]}


def _node(tree: Node) -> dict[str, Any]:
    """Return a tree as `lockstep explain --json` has it, with times in milliseconds."""
    alone = replace(tree, causes=(), effects=())
    return document(alone) | {
        "time": tree.time,
        "causes": [_node(each) for each in tree.causes],
        "effects": [_node(each) for each in tree.effects],
    }
