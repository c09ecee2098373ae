"""Measures the close in deviations from the mean, both taken over the whole file by numpy."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from app.core.events import View
from app.core.strategies.base import Advice, Bar, Parameters, Strategy

PRICES = np.loadtxt(os.environ["PEEK"], delimiter=",", usecols=1)
MEAN, DEVIATION = float(PRICES.mean()), float(PRICES.std())


@dataclass(frozen=True, slots=True)
class State:
    bars: int = 0


def update(_parameters: Parameters, state: State, bar: Bar) -> tuple[State, Advice]:
    score = (bar.close - MEAN) / DEVIATION
    view = View.LONG if score < 0 else View.FLAT
    return State(state.bars + 1), Advice(view, "Cheap.", {"score": score})


STRATEGY = Strategy("normalised", Parameters, State, update, lambda _: 1)
