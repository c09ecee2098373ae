"""Closes enter, bars leave; and a strategy run over bars: short forms for tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.core.strategies import STRATEGIES
from app.core.strategies.base import Advice, Bar
from tests.core.builders import MINUTE, START


def bars(closes: Iterable[float]) -> list[Bar]:
    return [
        Bar(START + MINUTE * number, close, close, close, close, 1.0, complete=True)
        for number, close in enumerate(closes, 1)
    ]


def run(name: str, values: dict[str, str], closes: Iterable[float]) -> list[Advice]:
    strategy = STRATEGIES[name]
    parameters = strategy.parse(values)
    state: Any = strategy.state()
    advice = []
    for bar in bars(closes):
        state, latest = strategy.update(parameters, state, bar)
        advice.append(latest)
    return advice
