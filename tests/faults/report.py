"""What became of seeds enters; lines that say it leave, and a file for other processes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.faults.campaign import Outcome

FILE = "report.json"


@dataclass
class Report:
    """The numbers of one seed, or of several together.

    Attributes:
        passed: The seeds at which nothing was wrong.
        failed: The others.
        injected, missed, exits, compared: As in Outcome and Findings, exit codes as text.
        counts: How many records were lost, doubled, different, repeats; how many trades gaps.
        lasted: The seconds of each fault, by kind.
    """

    passed: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    injected: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    exits: Counter[str] = field(default_factory=Counter)
    compared: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    lasted: dict[str, list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, seed: int, outcome: Outcome) -> Self:
        found = outcome.findings
        report = cls(
            injected=outcome.injected,
            missed=outcome.missed,
            exits=Counter({str(code): count for code, count in outcome.exits.items()}),
            lasted=dict(outcome.lasted),
        )
        (report.passed if outcome.faultless else report.failed).append(seed)
        if found:
            report.compared = found.compared
            report.counts = Counter(
                lost=len(found.lost),
                doubled=len(found.doubled),
                different=len(found.different),
                repeats=found.repeats,
                gaps=found.gaps,
            )
        return report

    @classmethod
    def read(cls, seed: int, logs: Path) -> Self:
        """Return what a seed has left; where it left nothing, it failed."""
        file = logs / FILE
        if not file.exists():
            return cls(failed=[seed])
        fields = json.loads(file.read_text())
        counted = ("injected", "missed", "exits", "compared", "counts")
        return cls(**fields | {name: Counter(fields[name]) for name in counted})

    def write(self, logs: Path) -> None:
        (logs / FILE).write_text(json.dumps(vars(self)))

    def __iadd__(self, other: Report) -> Self:
        self.passed += other.passed
        self.failed += other.failed
        for name in ("injected", "missed", "exits", "compared", "counts"):
            getattr(self, name).update(getattr(other, name))
        for kind, seconds in other.lasted.items():
            self.lasted.setdefault(kind, []).extend(seconds)
        return self

    def verdict(self) -> str:
        """Return the numbers in a line."""
        counts = self.counts
        return (
            f"{self.injected.total()} faults, {self.compared.total()} records compared, "
            f"{counts['lost']} lost, {counts['doubled']} doubled, {counts['different']} different "
            f"({counts['repeats']} repeats skipped, {counts['gaps']} trades declared missing)"
        )

    def lines(self, kinds: Sequence[str], each: int) -> Iterator[str]:
        """Yield the whole summary; of every kind how often, and of which not often enough."""
        yield " count  seconds  kind"
        for kind in kinds:
            seconds = self.lasted.get(kind) or [0.0]
            yield f"{self.injected[kind]:6}  {sum(seconds) / len(seconds):7.1f}  {kind}"
        for kind, count in self.missed.items():
            yield f"     -           {kind}: met no work {count} times"
        yield "compared: " + ", ".join(f"{name} {n}" for name, n in self.compared.items())
        exits = sorted(self.exits.items())
        yield "workers ended: " + ", ".join(f"{code} {n}x" for code, n in exits)
        rare = ", ".join(self.rare(kinds, each))
        yield f"fewer than {each} times: {rare}" if rare else f"each kind at least {each} times"
        yield f"{len(self.passed) + len(self.failed)} seeds: {self.verdict()}"
        failed = ", ".join(map(str, sorted(self.failed)))
        yield f"failed seeds: {failed}" if failed else "every seed passed"

    def rare(self, kinds: Iterable[str], each: int) -> dict[str, int]:
        """Return the kinds that struck less often than that, and how often each is missing."""
        return {kind: each - self.injected[kind] for kind in kinds if self.injected[kind] < each}
