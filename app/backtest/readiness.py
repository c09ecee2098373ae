"""Signals enter; a sentence for every strategy that never was ready leaves."""

from __future__ import annotations

from app.core.events import Account, Signal, View
from app.core.strategies import STRATEGIES
from app.report.numbers import counted


class Readiness:
    """Counts the decision times at which each strategy could tell something.

    Attributes:
        counts: By account, strategy and instrument: decision times, and those it was ready at.
    """

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str, str], tuple[int, int]] = {}

    def take(self, signal: Signal) -> None:
        """Take a signal."""
        key = (signal.account, signal.strategy, signal.instrument)
        total, ready = self.counts.get(key, (0, 0))
        self.counts[key] = (total + 1, ready + (signal.view is not View.NOT_READY))

    def notes(self, accounts: dict[str, Account]) -> list[str]:
        """Return what to say, given the accounts by name."""
        return [
            f"{strategy} of {account} was never ready on {instrument}: it wants "
            f"{counted(_wanted(accounts[account], strategy), 'base interval')} to warm up, and the "
            f"run had {total:,}; give more data, or --from so that what is before is history."
            for (account, strategy, instrument), (total, ready) in sorted(self.counts.items())
            if not ready
        ]


def _wanted(account: Account, name: str) -> int:
    parameters = next(each.parameters for each in account.strategies if each.name == name)
    strategy = STRATEGIES[name]
    return strategy.history(strategy.parse(parameters))
