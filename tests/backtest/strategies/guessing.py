"""Throws a die of very many sides."""

from __future__ import annotations

import random
from dataclasses import dataclass

from app.core.events import View
from app.core.strategies.base import Advice, Bar, Parameters, Strategy


@dataclass(frozen=True, slots=True)
class State:
    bars: int = 0


def update(_parameters: Parameters, state: State, _bar: Bar) -> tuple[State, Advice]:
    thrown = random.random()
    return State(state.bars + 1), Advice(View.FLAT, "It fell somehow.", {"thrown": thrown})


STRATEGY = Strategy("guessing", Parameters, State, update, lambda _: 1)
