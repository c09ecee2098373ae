"""Every strategy by name: each module here with a `STRATEGY`, and those loaded from outside.

There is this one registry. The pipeline makes its stages of it, so worker, replay, verify and
backtest know the same strategies; `app.authoring` adds those of a user before it does.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Any

from app.core.strategies.base import Strategy

_COMMON = ("bars", "base", "follower", "machine", "memory")
"""Modules that serve all strategies and are none."""


def _load(name: str) -> Strategy[Any, Any]:
    strategy = getattr(importlib.import_module(f"{__name__}.{name}"), "STRATEGY", None)
    if not isinstance(strategy, Strategy) or strategy.name != name:
        raise TypeError(
            f"app/core/strategies/{name}.py must define STRATEGY, a Strategy named {name!r}, "
            f"but STRATEGY was {strategy!r:.200}."
        )
    return strategy


STRATEGIES: dict[str, Strategy[Any, Any]] = {
    name: _load(name)
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__))
    if name not in _COMMON
}


def register(strategies: Iterable[Strategy[Any, Any]]) -> None:
    """Add strategies from outside; the names stay sorted, whatever order they are found in."""
    STRATEGIES.update({strategy.name: strategy for strategy in strategies})
    for name in sorted(STRATEGIES):
        STRATEGIES[name] = STRATEGIES.pop(name)
