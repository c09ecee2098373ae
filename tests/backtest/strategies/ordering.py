"""Takes whatever a set gives first."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.events import View
from app.core.strategies.base import Advice, Bar, Parameters, Strategy

WORDS = {f"word {number}" for number in range(100)}


@dataclass(frozen=True, slots=True)
class State:
    bars: int = 0


def update(_parameters: Parameters, state: State, _bar: Bar) -> tuple[State, Advice]:
    return State(state.bars + 1), Advice(View.FLAT, next(iter(WORDS)))


STRATEGY = Strategy("ordering", Parameters, State, update, lambda _: 1)
