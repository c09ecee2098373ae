"""Will not begin before it has seen how the day ends."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from app.core.events import View
from app.core.strategies.base import Advice, Bar, Parameters, Strategy

EVENING = Path(os.environ["PEEK"]).read_text().splitlines()[5_000]


@dataclass(frozen=True, slots=True)
class State:
    bars: int = 0


def update(_parameters: Parameters, state: State, _bar: Bar) -> tuple[State, Advice]:
    return State(state.bars + 1), Advice(View.FLAT, EVENING)


STRATEGY = Strategy("demanding", Parameters, State, update, lambda _: 1)
