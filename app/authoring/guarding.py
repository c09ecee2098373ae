"""A strategy as a user wrote it enters; the same leaves, and whatever it does wrong has a place."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from app.authoring.errors import StrategyError, StrategyFailedError, place_of, what_of
from app.core.events import InvalidRecordError, View, checks
from app.core.strategies.base import Advice, Bar, Parameters, Range, Strategy
from app.core.strategies.memory import pack, unpack
from app.times import format_time

_MADE = 2


def checked(strategy: Strategy[Any, Any], file: str) -> Strategy[Any, Any]:
    """Return the strategy if it is whole: what it declares fits, and its state can be stored.

    Raises:
        StrategyError: It does not, and the sentence says what.
    """
    for problem in (_parameters, _state, _calls):
        found = problem(strategy)
        if found:
            raise StrategyError(f"{file}: {found}. docs/strategies.md shows a whole strategy.")
    return strategy


def guarded(strategy: Strategy[Any, Any], file: str) -> Strategy[Any, Any]:
    """Return the strategy with every answer of `update` checked.

    What it raises then is a StrategyFailedError, with the file, the line and the bar's time.
    """

    def update(parameters: Any, state: Any, bar: Bar) -> tuple[Any, Advice]:
        def fail(what: str, place: str) -> StrategyFailedError:
            return StrategyFailedError(
                f"strategy {strategy.name} failed on the bar that ended at "
                f"{format_time(bar.time)}: {what}, in {place}. Correct it and go on: nothing of "
                f"that bar was written."
            )

        try:
            made = strategy.update(parameters, state, bar)
        except Exception as error:
            raise fail(what_of(error), place_of(error, file)) from error
        problem = _answer(strategy, made)
        if problem:
            raise fail(problem, _defined(strategy.update, file))
        after, advice = made
        floats = {name: float(value) for name, value in advice.indicators.items()}
        return after, Advice(advice.view, advice.reason, floats)

    return dataclasses.replace(strategy, update=update)


def _defined(function: Callable[..., Any], file: str) -> str:
    code = getattr(function, "__code__", None)
    return file if code is None else f"{code.co_filename}, line {code.co_firstlineno}"


def _answer(strategy: Strategy[Any, Any], made: Any) -> str:
    """Return what is wrong with an answer; empty where nothing is."""
    if not isinstance(made, tuple) or len(made) != _MADE:
        return f"update returned {made!r:.80}, must return the new state and an Advice"
    state, advice = made
    if type(state) is not strategy.state:
        return f"update returned a state of type {type(state).__name__}, must be {_name(strategy)}"
    return _stored(strategy, state) or _advice(advice)


def _stored(strategy: Strategy[Any, Any], state: Any) -> str:
    """Return why a state can't be stored and loaded again; empty where it can."""
    try:
        rows = pack(state)
        odd = [name for name, row in rows.items() if not all(map(math.isfinite, row))]
        if odd:
            return f"{odd[0]} in the state was {rows[odd[0]]!r:.80}, must be finite"
        same = unpack(strategy.state, rows) == state
    except (TypeError, ValueError, OverflowError) as error:
        return f"the state can't be stored ({error}): its fields are numbers and tuples of them"
    if not same:
        return "the state changes when it is stored and loaded: its fields are not of their types"
    return ""


def _advice(advice: Any) -> str:
    if not isinstance(advice, Advice):
        return f"update returned {advice!r:.80}, must return an Advice beside the state"
    if not isinstance(advice.view, View):
        return f"the view was {advice.view!r:.80}, must be one of View"
    if not isinstance(advice.reason, str) or not advice.reason or "\x00" in advice.reason:
        return f"the reason was {advice.reason!r:.80}, must be a sentence"
    if not isinstance(advice.indicators, dict):
        return f"the indicators were {advice.indicators!r:.80}, must be numbers by name"
    try:
        checks.text("the reason", advice.reason)
        for name, value in advice.indicators.items():
            checks.key("the name of an indicator", name)
            checks.real(f"indicator {name}", value)
    except (InvalidRecordError, TypeError) as error:
        return str(error)
    return ""


def _name(strategy: Strategy[Any, Any]) -> str:
    return str(getattr(strategy.state, "__name__", strategy.state))


def _parameters(strategy: Strategy[Any, Any]) -> str:
    cls = strategy.parameters
    if not (
        isinstance(cls, type) and issubclass(cls, Parameters) and dataclasses.is_dataclass(cls)
    ):
        return "parameters must be a frozen dataclass that extends Parameters"
    for item in dataclasses.fields(cls):
        limits = item.metadata.get("range")
        if not isinstance(limits, Range):
            return f"parameter {item.name} must be a field with within(lowest, highest, meaning)"
        default = item.default
        if isinstance(default, bool) or not isinstance(default, int | float):
            return f"parameter {item.name} must have a number as its default"
        if not limits.lowest <= default <= limits.highest:
            return (
                f"parameter {item.name} has the default {default}, outside its own range from "
                f"{limits.lowest} to {limits.highest}"
            )
    return ""


def _state(strategy: Strategy[Any, Any]) -> str:
    cls = strategy.state
    if not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
        return "state must be a frozen dataclass"
    try:
        return _stored(strategy, cls())
    except Exception as error:  # noqa: BLE001 - a user's own code, in its own words
        return f"the state can't be made without arguments ({what_of(error)})"


def _calls(strategy: Strategy[Any, Any]) -> str:
    if not callable(strategy.update) or not callable(strategy.warmup):
        return "update and warmup must be functions"
    try:
        bars = strategy.warmup(strategy.parse({}))
    except Exception as error:  # noqa: BLE001 - a user's own code, in its own words
        return f"warmup failed for the defaults ({what_of(error)})"
    if type(bars) is not int or bars < 0:
        return f"warmup returned {bars!r:.80}, must be a number of bars"
    return ""
