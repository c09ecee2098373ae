"""Reads the file by itself while it decides, under another name, and below Python's `open`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from app.core.events import View
from app.core.strategies.base import Advice, Bar, Parameters, Strategy


@dataclass(frozen=True, slots=True)
class State:
    bars: int = 0


def lines() -> int:
    path = Path(os.environ["PEEK"])
    number = os.open(os.path.relpath(path.parent / "." / path.name), os.O_RDONLY)
    with os.fdopen(number) as file:
        return sum(1 for _ in file)


def update(_parameters: Parameters, state: State, _bar: Bar) -> tuple[State, Advice]:
    advice = Advice(View.FLAT, "It knows how long it lasts.", {"length": float(lines())})
    return State(state.bars + 1), advice


STRATEGY = Strategy("reading", Parameters, State, update, lambda _: 1)
