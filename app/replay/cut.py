"""States of every stage, and what was on its way between them: where an engine starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.core.events import Output


@dataclass(frozen=True, slots=True)
class KeyState:
    """One key's durable state at one stage.

    Attributes:
        stage: The stage.
        key: The key.
        time: Its decision time, milliseconds since the epoch UTC.
        body: The durable state, as the stage's machine takes it.
        needs: By topic, the oldest offset of a record from outside that is not in it.
    """

    stage: str
    key: str
    time: int
    body: object
    needs: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a pipeline stood.

    The states need not be of one moment: a record that its sender's state is past and its
    receiver's is not was on its way, and a receiver skips what it has had. A command must not stand
    among signals on their way: it acts by where it stands, and all that was on its way comes first.

    Attributes:
        states: At most one of each stage and key; a key without one starts new.
        in_flight: What was on its way; in order for each sender and receiver.
    """

    states: tuple[KeyState, ...]
    in_flight: tuple[Output, ...]


def seen(body: object) -> dict[str, int]:
    """Return the last number of each sender whose effect is in a durable state."""
    found: dict[str, int] = getattr(body, "seen", {})
    return found


def sent(state: KeyState) -> dict[str, int]:
    """Return the last number sent to each destination, as far as the state is past it."""
    found: Any = getattr(state.body, "sent", {})
    # Candles have one destination, their own key, and count it alone.
    return found if isinstance(found, dict) else {state.key: found}
