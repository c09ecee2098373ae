"""Keys with ranges enter; the combinations of values to be tried leave, drawn by a seed."""

from __future__ import annotations

import dataclasses
import itertools
import math
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.backtest.words import Override
from app.core.strategies import STRATEGIES
from app.core.strategies.base import Range
from app.errors import ConfigurationError

LEVELS = 10
"""Values tried of a range of real numbers without a step."""

MOST_VALUES = 100_000
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_PARAMETER = 5  # accounts, name, strategies, strategy, parameter
_DRAWS = 50  # for one that fits

Combination = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """A setting that is searched.

    Attributes:
        path: The parts of its key.
        values: What is tried, as text.
    """

    path: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def key(self) -> str:
        """Its key, with dots."""
        return ".".join(self.path)


def axes(words: Sequence[str]) -> tuple[Axis, ...]:
    """Return what KEY, KEY=LOW:HIGH, KEY=LOW:HIGH:STEP and KEY=A,B,C search.

    Without a range a strategy's parameter is tried over all that it declares.

    Raises:
        ConfigurationError: A word is none of these, or two search the same.
    """
    found = tuple(_axis(word) for word in words)
    if len({axis.path for axis in found}) < len(found):
        raise ConfigurationError("--search named a key twice: give each once.")
    names = {axis.path[1] for axis in found}
    if len(names) > 1:
        raise ConfigurationError(
            f"--search named settings of {' and '.join(sorted(names))}: search one account at a "
            f"time."
        )
    return found


def overrides(axes_: Sequence[Axis], combination: Combination) -> list[Override]:
    """Return the settings that a combination stands for."""
    return [Override(axis.path, value) for axis, value in zip(axes_, combination, strict=True)]


def chosen(
    axes_: Sequence[Axis], most: int, seed: int, fits: Callable[[Combination], bool]
) -> list[Combination]:
    """Return all combinations that fit, or so many of them drawn by a seed, in a fixed order.

    A grid and chance, and no optimiser: what each process finds next would depend on who finished
    first, and one that climbs towards the best in-sample figure finds what chance made.
    """
    size = math.prod(len(axis.values) for axis in axes_)
    if size <= most:
        return [each for each in itertools.product(*(a.values for a in axes_)) if fits(each)]
    return list(itertools.islice(_drawn(axes_, most * _DRAWS, seed, fits), most))


def _drawn(
    axes_: Sequence[Axis], draws: int, seed: int, fits: Callable[[Combination], bool]
) -> Iterator[Combination]:
    draw, seen = random.Random(seed), set()  # noqa: S311 - no secret
    for _ in range(draws):
        combination = tuple(draw.choice(axis.values) for axis in axes_)
        if combination not in seen and fits(combination):
            yield combination
        seen.add(combination)


def _axis(word: str) -> Axis:
    key, equals, text = word.partition("=")
    path = tuple(key.strip().split("."))
    if len(path) < 3 or path[0] != "accounts" or not all(path):  # noqa: PLR2004 - accounts, name, key
        raise ConfigurationError(
            f"--search was {word!r}, must be like accounts.paper.strategies.macd.fast=5:20."
        )
    if not equals:
        limits = _declared(path)
        return Axis(path, _spread(word, f"{limits.lowest}", f"{limits.highest}", _whole(path)))
    values = tuple(part.strip() for part in text.split(","))
    if len(values) > 1:
        return Axis(path, values)
    low, *rest = text.split(":")
    if not 1 <= len(rest) <= 2 or not all(map(_NUMBER.fullmatch, (low, *rest))):  # noqa: PLR2004
        raise ConfigurationError(
            f"--search {key}: {text!r} is no range; write 5:20, 0.1:0.9:0.2 or 5,8,13."
        )
    if len(rest) == 2:  # noqa: PLR2004 - a step
        return Axis(path, _stepped(word, Decimal(low), Decimal(rest[0]), Decimal(rest[1])))
    return Axis(path, _spread(word, low, rest[0], _whole(path)))


def _field(path: tuple[str, ...]) -> dataclasses.Field[object] | None:
    """Return the field of a strategy's parameter; none where the key is of something else."""
    if len(path) != _PARAMETER or path[2] != "strategies" or path[3] not in STRATEGIES:
        return None
    fields = dataclasses.fields(STRATEGIES[path[3]].parameters)
    return next((field for field in fields if field.name == path[4]), None)


def _declared(path: tuple[str, ...]) -> Range:
    field = _field(path)
    if field is None:
        raise ConfigurationError(
            f"--search {'.'.join(path)}: only a strategy's parameter declares a range; write "
            f"{'.'.join(path)}=LOW:HIGH:STEP."
        )
    found: Range = field.metadata["range"]
    return found


def _whole(path: tuple[str, ...]) -> bool | None:
    """Return whether only whole numbers fit; none where nobody knows."""
    field = _field(path)
    return None if field is None else isinstance(field.default, int)


def _spread(word: str, low: str, high: str, whole: bool | None) -> tuple[str, ...]:  # noqa: FBT001 - what is known
    """Return all whole numbers of a range, or some real ones evenly spread."""
    first, last = Decimal(low), Decimal(high)
    if whole or (whole is None and "." not in low + high):
        return _stepped(word, first, last, Decimal(1))
    width = (last - first) / (LEVELS - 1)
    return tuple(f"{float(first + width * number):.12g}" for number in range(LEVELS))


def _stepped(word: str, low: Decimal, high: Decimal, step: Decimal) -> tuple[str, ...]:
    if low > high or step <= 0 or (high - low) / step >= MOST_VALUES:
        raise ConfigurationError(
            f"--search was {word!r}: the range must rise, by a step above 0, over at most "
            f"{MOST_VALUES:,} values."
        )
    return tuple(f"{low + step * number:f}" for number in range(int((high - low) / step) + 1))
