"""Honest, but never forgets where it began: long on every second bar since then."""

from __future__ import annotations

from dataclasses import dataclass

from app.core.events import View
from app.core.strategies.base import Advice, Bar, Parameters, Strategy


@dataclass(frozen=True, slots=True)
class State:
    bars: int = 0


def update(_parameters: Parameters, state: State, _bar: Bar) -> tuple[State, Advice]:
    bars = state.bars + 1
    view = View.LONG if bars % 2 else View.FLAT
    return State(bars), Advice(view, "Odd or even.", {"bars": float(bars)})


STRATEGY = Strategy("counting", Parameters, State, update, lambda _: 1)
