"""What a command line said of a fork's run enters; what is to be run leaves, checked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.backtest import grid
from app.backtest.words import Override, overrides
from app.errors import ConfigurationError
from app.forks.whatif import Request
from app.forks.whatif_change import Variant, changes
from app.forks.whatif_point import restore
from app.forks.whatif_source import Recorded, Source
from app.times import format_time

FORK = "fork"
POLL_SECONDS = 1.0
_NEXT = re.compile(r",(?=accounts\.)")


@dataclass(frozen=True, slots=True)
class Words:
    """The options of a command line.

    Attributes:
        at: The moment, milliseconds since the epoch UTC; none: now.
        until: The end; none: that of what is recorded.
        settings: KEY=VALUE, of every variant.
        variants: NAME:KEY=VALUE,KEY=VALUE.
        ranges: What is searched, as `lockstep backtest --search` takes it.
        trials: Of a search: variants at most.
        seed: Of a search: decides which are drawn.
    """

    at: int | None
    until: int | None
    settings: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    trials: int = 50
    seed: int = 1


async def request(
    source: Source, words: Words, processes: int, say: Callable[[str], None]
) -> Request:
    """Return what words ask for; from now on, once the run has come to the end asked for.

    Raises:
        ConfigurationError: They contradict each other, or something they name is wrong.
    """
    fixed = overrides(words.settings)
    found = [_named(each, fixed) for each in words.variants]
    at = words.at
    if at is None or words.ranges:
        async with source.open() as recorded:
            at = await _now(recorded, words, say) if at is None else at
            if words.ranges:
                found += await _searched(recorded, at, words, fixed)
    if words.until is not None and words.until <= at:
        raise ConfigurationError(
            f"--until was {format_time(words.until)}, not after --at, {format_time(at)}: nothing "
            f"lies between."
        )
    if not found and fixed:
        found = [Variant(FORK, tuple(fixed))]
    _check(found)
    return Request(source, at, words.until, tuple(found), processes)


async def _now(recorded: Recorded, words: Words, say: Callable[[str], None]) -> int:
    """Return the moment after the newest decision, once the run has come to the end."""
    now = await recorded.reached()
    if now is None:
        raise ConfigurationError("nothing was decided yet, so there is no now to fork from.")
    if words.until is None or words.until <= now:
        raise ConfigurationError(
            f"nothing is recorded after now, {format_time(now)}: give --until a later time, and "
            f"the fork runs when the run has come there; or give --at an earlier one."
        )
    say(f"waiting until the run, now at {format_time(now)}, has come to {format_time(words.until)}")
    await _come(recorded, words.until)
    return now + 1  # the newest decision is the run's own: what comes after it is changed


async def _come(recorded: Recorded, time: int) -> None:
    """Return when the run has come to a time: nobody tells, so it is asked again and again."""
    while True:
        reached = await recorded.reached()
        if reached is not None and reached >= time:
            return
        await asyncio.sleep(POLL_SECONDS)


def _named(word: str, fixed: Sequence[Override]) -> Variant:
    name, colon, text = word.partition(":")
    if not colon or not name or "=" in name:
        raise ConfigurationError(
            f"--variant was {word!r}, must be like fast:accounts.paper.strategies.macd.fast=8."
        )
    return Variant(name, (*fixed, *overrides(_NEXT.split(text))))


async def _searched(
    recorded: Recorded, at: int, words: Words, fixed: Sequence[Override]
) -> list[Variant]:
    """Return a variant for each combination that fits the run's accounts, or so many drawn."""
    axes = grid.axes(words.ranges)
    point = await restore(recorded, at)
    refusals: list[str] = []

    def variant(combination: grid.Combination) -> Variant:
        chosen = grid.overrides(axes, combination)
        name = " ".join(f"{each.path[-1]}={each.value}" for each in chosen)
        return Variant(name, (*fixed, *chosen))

    def fits(combination: grid.Combination) -> bool:
        try:
            changes(point, variant(combination))
        except ConfigurationError as error:
            refusals.append(str(error))
            return False
        return True

    found = grid.chosen(axes, words.trials, words.seed, fits)
    if not found:
        raise ConfigurationError(refusals[0] if refusals else "--search: the ranges are empty.")
    return [variant(each) for each in found]


def _check(variants: Sequence[Variant]) -> None:
    names = [each.name for each in variants]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"two variants were named {name!r}: name each otherwise.")
