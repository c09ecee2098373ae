"""What a strategy is: typed parameters and one bar at a time enter, its advice leaves.

A strategy is one module with a `STRATEGY`, of this package or of a user's folder.
`docs/strategies.md` shows how to write one.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from app.core.events import View

_WHOLE = re.compile(r"-?[0-9]{1,15}")
_REAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,30})?([eE]-?[0-9]{1,2})?")
_SHOWN = 80


class ParameterError(ValueError):
    """A strategy can't run with such parameters; the sentence names strategy and parameter."""


@dataclass(frozen=True, slots=True)
class Range:
    """What a parameter may be, inclusive, and what it is for."""

    lowest: float
    highest: float
    meaning: str


def within(lowest: float, highest: float, meaning: str) -> dict[str, Range]:
    """Return the metadata of a parameter's field: its range, inclusive, and its meaning."""
    return {"range": Range(lowest, highest, meaning)}


@dataclass(frozen=True, slots=True)
class Parameters:
    """What every strategy can be told; a strategy's own parameters extend it.

    A field is an int or a float, with a default and a `within(...)`.
    """

    every: int = field(default=1, metadata=within(1, 10_080, "base intervals in one bar"))


@dataclass(frozen=True, slots=True)
class Declared:
    """A parameter as a strategy declares it: what a form shows, and what a search may try.

    Attributes:
        name: Its name in an account's configuration.
        whole: Whether it is a whole number.
        default: Its value where none is configured.
        lowest, highest: Its range, both included.
        meaning: What it is for.
    """

    name: str
    whole: bool
    default: float
    lowest: float
    highest: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One or more base intervals of one instrument, as floats.

    Attributes:
        time: Its end, milliseconds since the epoch UTC.
        open, high, low, close: Prices in the quote currency.
        volume: Traded quantity, base asset.
        complete: Whether it holds every trade of its time; of one that doesn't the prices are
            those known, and whatever the strategy thinks the signal is "not ready".
    """

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    complete: bool


@dataclass(frozen=True, slots=True)
class Advice:
    """What a strategy thinks after a bar.

    Attributes:
        view: Long, short, flat, or not ready.
        reason: Why, in one sentence.
        indicators: The values behind it, by name; finite.
    """

    view: View
    reason: str
    indicators: dict[str, float] = field(default_factory=dict)


P = TypeVar("P", bound=Parameters)
S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Strategy(Generic[P, S]):
    """A registered strategy.

    Attributes:
        name: The name of its module, its stage, and in an account's configuration.
        parameters: The type of its parameters.
        state: The type of what it remembers, a frozen dataclass (see `memory`); made without
            arguments, it is the state before the first bar.
        update: Takes parameters, state and one bar; returns the state after it and the advice.
        warmup: How many bars it wants to have seen before its first decision.
    """

    name: str
    parameters: type[P]
    state: type[S]
    update: Callable[[P, S, Bar], tuple[S, Advice]]
    warmup: Callable[[P], int]

    def parse(self, values: Mapping[str, str]) -> P:
        """Return the typed parameters, defaults filled in.

        Raises:
            ParameterError: A name is unknown, or a value not a number or out of range.
        """
        fields = {item.name: item for item in dataclasses.fields(self.parameters)}
        typed: dict[str, Any] = {}
        for name, text in values.items():
            if name not in fields:
                raise ParameterError(
                    f"strategy {self.name} has no parameter {name[:_SHOWN]!r}; it takes "
                    f"{', '.join(fields)}."
                )
            typed[name] = self._number(fields[name], text)
        try:
            return self.parameters(**typed)
        except ValueError as error:
            raise ParameterError(f"strategy {self.name}: {error}.") from error

    def history(self, parameters: P) -> int:
        """Return how many base intervals the warm-up takes."""
        return self.warmup(parameters) * parameters.every

    def declared(self) -> tuple[Declared, ...]:
        """Return every parameter with its default, range and meaning, `every` first."""
        return tuple(_declared(item) for item in dataclasses.fields(self.parameters))

    def _number(self, item: dataclasses.Field[Any], text: str) -> float:
        limits: Range = item.metadata["range"]
        whole = isinstance(item.default, int)
        if (_WHOLE if whole else _REAL).fullmatch(text):
            value = int(text) if whole else float(text)
            if math.isfinite(value) and limits.lowest <= value <= limits.highest:
                return value
        raise ParameterError(
            f"strategy {self.name}: parameter {item.name} was {text[:_SHOWN]!r}, must be a "
            f"{'whole number' if whole else 'number'} from {limits.lowest} to {limits.highest} "
            f"({limits.meaning})."
        )


def _declared(item: dataclasses.Field[Any]) -> Declared:
    limits: Range = item.metadata["range"]
    default: Any = item.default
    return Declared(
        item.name, isinstance(default, int), default, limits.lowest, limits.highest, limits.meaning
    )
