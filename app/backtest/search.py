"""A source, an account and ranges enter; how every combination did leaves, best first.

Combinations run in several processes, a batch of them over one reading of the trades. Which are
tried, and what each gives, depends on the seed and the data alone.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

import orjson

from app.backtest import grid, settings, trials
from app.backtest.chance import expected_best
from app.backtest.grid import Axis, Combination
from app.backtest.journal import Journal
from app.backtest.settings import Values
from app.backtest.source import Files
from app.backtest.windows import WindowScore
from app.backtest.words import Override
from app.core.events import Account
from app.errors import ConfigurationError

BATCH = 16
Tell = Callable[[int], None]
"""Is told how many combinations are done."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is searched.

    Attributes:
        source: The data; its accounts are replaced by what is tried.
        axes: The ranges.
        accounts: The account of every combination to be tried.
        windows: How many windows.
        seed: What decided which are tried.
    """

    source: Files
    axes: tuple[Axis, ...]
    accounts: dict[Combination, Account]
    windows: int
    seed: int

    def terms(self) -> dict[str, Any]:
        """Return what makes two searches the same, as JSON can hold it."""
        every = [asdict(account) for account in self.accounts.values()]
        fingerprint = hashlib.blake2b(orjson.dumps(every, default=str), digest_size=8).hexdigest()
        return {
            "schema": "lockstep-search-1",
            "axes": {axis.key: axis.values for axis in self.axes},
            "seed": self.seed,
            "windows": self.windows,
            "interval": self.source.interval,
            "manner": asdict(self.source.manner),
            "files": [
                [dump.instrument, [[path.name, path.stat().st_size] for path in dump.files]]
                for dump in self.source.dumps
            ],
            "accounts": [len(every), fingerprint],
        }


@dataclass(frozen=True, slots=True)
class Result:
    """How one combination did.

    Attributes:
        values: Its values, in the order of the axes.
        windows: In and out of sample, by window.
    """

    values: Combination
    windows: tuple[WindowScore, ...]

    @property
    def inside(self) -> float:
        """The mean in-sample Sharpe ratio."""
        return fmean(each.inside.worth for each in self.windows)

    @property
    def outside(self) -> float:
        """The mean out-of-sample Sharpe ratio."""
        return fmean(each.outside.worth for each in self.windows)


@dataclass(frozen=True, slots=True)
class Pick:
    """What a window picked in sample, and how that did out of it."""

    values: Combination
    score: WindowScore


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search found, as far as it came.

    Attributes:
        results: By the out-of-sample figure, best first.
        picks: By window, the best in sample.
        wanted: How many combinations were to be tried.
        by_chance: The best in-sample Sharpe ratio to expect had none any skill; none for one.
    """

    results: tuple[Result, ...]
    picks: tuple[Pick, ...]
    wanted: int
    by_chance: float | None


def plan(
    source: Files,
    values: Values,
    fixed: Sequence[Override],
    axes: tuple[Axis, ...],
    *,
    most: int,
    windows: int,
    seed: int,
) -> Plan:
    """Return what to search.

    Args:
        source: The data, and the accounts that trade it.
        values: Settings that the combinations are laid over.
        fixed: Settings laid over them first.
        axes: The ranges.
        most: How many combinations at most.
        windows: How many windows.
        seed: Decides which are tried.

    Raises:
        ConfigurationError: No account of that name trades here, or nothing fits.
    """
    name = axes[0].path[1]
    base = next((account for account in source.accounts if account.name == name), None)
    if base is None:
        known = ", ".join(account.name for account in source.accounts)
        raise ConfigurationError(f"--search: there is no account {name!r} here, only {known}.")
    accounts: dict[Combination, Account] = {}
    refusals: list[str] = []

    def fits(combination: Combination) -> bool:
        changes = [*fixed, *grid.overrides(axes, combination)]
        try:
            _, _, found = settings.checked(values, changes)
        except ConfigurationError as error:
            refusals.append(str(error))
            return False
        made = next(account for account in found if account.name == name)
        accounts[combination] = replace(made, instruments=base.instruments)
        return True

    grid.chosen(axes, most, seed, fits)
    if not accounts:
        raise ConfigurationError(refusals[0] if refusals else "--search: the ranges are empty.")
    return Plan(source, axes, accounts, windows, seed)


def search(plan_: Plan, journal: Journal, processes: int, tell: Tell) -> None:
    """Run what the journal lacks, in so many processes.

    Raises:
        LockstepError: The data can't be read, or are too short.
    """
    todo = [each for each in plan_.accounts if each not in journal.done]
    size = max(1, min(BATCH, -(-len(todo) // max(1, processes))))
    batches = [todo[at : at + size] for at in range(0, len(todo), size)]
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, mp_context=context, initializer=_quiet)
    try:
        waiting = {
            pool.submit(
                trials.run, plan_.source, [plan_.accounts[each] for each in batch], plan_.windows
            ): batch
            for batch in batches
        }
        _collect(waiting, journal, tell)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()


def _collect(
    waiting: dict[Future[list[list[WindowScore]]], list[Combination]], journal: Journal, tell: Tell
) -> None:
    while waiting:
        done, _ = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
        for future in done:
            journal.add(dict(zip(waiting.pop(future), future.result(), strict=True)))
        tell(len(journal.done))


def _quiet() -> None:
    """End at once and in silence when the terminal interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def outcome(plan_: Plan, journal: Journal) -> Outcome:
    """Return what was found; the order of the results is that of their figures, then values."""
    results = [
        Result(each, tuple(journal.done[each])) for each in plan_.accounts if each in journal.done
    ]
    results.sort(key=lambda each: (-each.outside, each.values))
    picks = []
    for number in range(plan_.windows if results else 0):
        best = max(results, key=lambda each: (each.windows[number].inside.worth, each.values))
        picks.append(Pick(best.values, best.windows[number]))
    learned = picks[-1].score.window.turn - picks[0].score.window.start if picks else 0
    by_chance = expected_best(len(results), learned)
    return Outcome(tuple(results), tuple(picks), len(plan_.accounts), by_chance)
