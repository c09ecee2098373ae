"""All that one pipeline makes enters; its figures, its decisions and rows of some of them leave."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.core.events import Booked, Candle, Epoch, Fill, Output, Record
from app.core.events.checks import LATEST_TIME
from app.core.metrics import RunRecords
from app.forks.whatif_decision import Deciding, Decision, Difference, difference

KEPT = 2
"""Whole decisions whose records are kept: the last, and the one before, whose fills it booked."""


@dataclass(slots=True)
class _Account:
    """One account, as it is watched.

    Attributes:
        deciding: Puts its decisions together.
        own, parents: Decisions that have not been compared.
        groups: Records by decision, the last of them not over yet.
        last: The last decision time that was the same.
        difference: The first.
        closed: Whether all that is wanted of its records is there.
    """

    deciding: Deciding = field(default_factory=Deciding)
    own: deque[Decision] = field(default_factory=deque)
    parents: deque[Decision] = field(default_factory=deque)
    groups: deque[list[Output]] = field(default_factory=lambda: deque([[]], KEPT + 1))
    last: int = 0
    difference: Difference | None = None
    closed: bool = False

    def take(self, output: Output) -> Decision | None:
        self.groups[-1].append(output)
        decision = self.deciding.take(output)
        if decision is not None and self.difference is not None:
            self.closed = True  # what came of the orders that differ is there as well
        elif decision is not None:
            self.own.append(decision)
            self.groups.append([])
        return decision

    def compare(self, name: str, parents: Sequence[Decision]) -> None:
        self.parents.extend(parents)
        while self.own and self.parents and self.difference is None:
            one, two = self.parents.popleft(), self.own.popleft()
            self.difference = difference(name, one, two, self.last)
            if self.difference is None:
                self.last = two.time


class Watch:
    """Takes every record that a pipeline makes; only decisions from one time on count.

    Attributes:
        records: What figures are made of.
    """

    def __init__(self, begin: int, rules: Iterable[Epoch], accounts: Iterable[str]) -> None:
        """Begin.

        Args:
            begin: The first decision time that counts, milliseconds since the epoch UTC.
            rules: The configurations in force, which no record will tell again.
            accounts: Which accounts count.
        """
        self.records = RunRecords()
        self._begin = begin
        self._accounts = {name: _Account() for name in accounts}
        self._fresh: dict[str, list[Decision]] = {}
        for epoch in rules:
            self.records.take(epoch)

    def __call__(self, output: Output) -> None:
        """Take a record."""
        record = output.message.record
        owner = _owner(record)
        if _decided(record) < self._begin or (owner and owner not in self._accounts):
            return
        self.records.take(record)
        account = self._accounts.get(owner)
        if account is None or account.closed or isinstance(record, Epoch):
            return
        decision = account.take(output)
        if decision is not None:
            self._fresh.setdefault(owner, []).append(decision)

    def fresh(self) -> dict[str, list[Decision]]:
        """Return the decisions that were made since this was asked last, by account."""
        fresh, self._fresh = self._fresh, {}
        return fresh

    def compare(self, parents: Mapping[str, Sequence[Decision]]) -> None:
        """Compare with decisions that the parent has made; only the first difference counts."""
        self._fresh.clear()
        for name, decisions in parents.items():
            account = self._accounts[name]
            if account.difference is None:
                account.compare(name, decisions)

    def differences(self) -> list[Difference]:
        """Return where each account parted from its parent; those that never did are left out."""
        found = [each.difference for each in self._accounts.values()]
        return [each for each in found if each is not None]

    def around(self, account: str) -> tuple[int, list[Output]]:
        """Return the records around an account's difference, and the time they are whole from."""
        watched = self._accounts[account]
        outputs = [output for group in watched.groups for output in group]
        at = 0 if watched.difference is None else watched.difference.time
        return watched.last or at, outputs


def _decided(record: Record) -> int:
    """Return the decision time that a record belongs to; of what steers, the latest there is."""
    if isinstance(record, Fill):
        return record.decision_time
    if isinstance(record, Booked):
        return record.time - 1  # it ends the orders of the decision before
    if isinstance(record, Candle) or _owner(record):
        return int(getattr(record, "time", LATEST_TIME))
    return LATEST_TIME


def _owner(record: Record) -> str:
    """Return the account that a record is of; empty for what is of none."""
    if isinstance(record, Epoch):
        return record.account.name
    return str(getattr(record, "account", ""))
