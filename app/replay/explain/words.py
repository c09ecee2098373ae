"""Numbers enter, the words for them leave."""

from __future__ import annotations

from collections.abc import Iterable

from app.replay.explain.case import Case
from app.times import format_time


def base(case: Case, instrument: str) -> str:
    """Return the name of an instrument's base asset, or of the instrument where it is unknown."""
    rules = case.one("instruments", instrument=instrument)
    return instrument if rules is None else str(rules["base"])


def quote(case: Case) -> str:
    """Return the name of the account's currency with a space before; empty where unknown."""
    rules = case.one("instruments")
    return "" if rules is None else f" {rules['quote']}"


def span(time: int, interval: int) -> str:
    """Return an interval by its end, the date once."""
    start, end = format_time(time - interval), format_time(time)
    return (
        f"{start[:-1]} to {end.partition('T')[2]}"
        if start[:10] == end[:10]
        else f"{start} to {end}"
    )


def number(value: float) -> str:
    """Return an indicator's value, short."""
    return f"{value:.6g}"


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return rising numbers as runs without holes, first and last of each."""
    found: list[tuple[int, int]] = []
    for one in numbers:
        if found and one == found[-1][1] + 1:
            found[-1] = (found[-1][0], one)
        else:
            found.append((one, one))
    return found


def run_words(found: list[tuple[int, int]]) -> str:
    """Return runs in words, at most three of them."""
    shown = [str(first) if first == last else f"{first} to {last}" for first, last in found[:3]]
    more = len(found) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def count(amount: int, what: str) -> str:
    """Return an amount of something: none, one or many."""
    return f"{amount or 'no'} {what}{'' if amount == 1 else 's'}"
