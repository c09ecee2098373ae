"""A strategy and prices enter; what it says after each of them leaves: for a strategy's tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.core.strategies.base import Advice, Bar, Strategy
from app.core.strategies.memory import pack, unpack

MINUTE = 60_000
START = 1_570_752_000_000  # 2019-10-11T00:00:00Z


def bars(closes: Iterable[float]) -> list[Bar]:
    """Return a bar of a minute for each close, all its prices the same, its volume 1."""
    return [
        Bar(START + MINUTE * number, close, close, close, close, 1.0, complete=True)
        for number, close in enumerate(closes, 1)
    ]


def advise(
    strategy: Strategy[Any, Any], values: Mapping[str, str], seen: Iterable[Bar]
) -> list[Advice]:
    """Return the advice after each bar; between two bars the state is stored and loaded again."""
    parameters = strategy.parse(values)
    state = strategy.state()
    found = []
    for bar in seen:
        state, advice = strategy.update(parameters, state, bar)
        state = unpack(strategy.state, pack(state))
        found.append(advice)
    return found
