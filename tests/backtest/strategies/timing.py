"""Asks what time it is."""

from __future__ import annotations

import time
from dataclasses import dataclass

from app.core.events import View
from app.core.strategies.base import Advice, Bar, Parameters, Strategy


@dataclass(frozen=True, slots=True)
class State:
    bars: int = 0


def update(_parameters: Parameters, state: State, _bar: Bar) -> tuple[State, Advice]:
    return State(state.bars + 1), Advice(View.FLAT, "Now.", {"now": time.time()})


STRATEGY = Strategy("timing", Parameters, State, update, lambda _: 1)
