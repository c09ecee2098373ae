"""A seed and its faults enter; they strike a pipeline at work; what they did to it leaves."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tests.faults.endings import Ending
from tests.faults.kinds import Fault
from tests.faults.oracle import Findings, compare
from tests.faults.site import Servers, Site, StuckError, opened
from tests.integration.worker import installed

T = TypeVar("T")
STILL = (4.0, 20.0)
"""Seconds without a new record after which a pipeline whose market stands still is done."""
LAST_WORK = 200
"""How many records the stages make after the last fault."""


@dataclass
class Outcome:
    """What became of one seed.

    Attributes:
        injected: How many faults met work, by kind.
        missed: How many did not, by kind; they are not counted.
        exits: How often a worker ended, by exit code.
        settled: Whether all topics came to stand still in the end, with all of it stored.
        findings: What the comparison found; none where it was not come to.
        stuck: What did not come in time; empty where all did.
        damage: What workers that had to refuse to go on changed, or that they did not refuse.
        seconds: How long it took.
        lasted: How long each fault took until all went on, by kind.
    """

    injected: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    exits: Counter[int] = field(default_factory=Counter)
    settled: bool = True
    findings: Findings | None = None
    stuck: str = ""
    damage: list[str] = field(default_factory=list)
    seconds: float = 0.0
    lasted: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def faultless(self) -> bool:
        good = self.findings is not None and self.findings.faultless
        return good and self.settled and not self.stuck and not self.damage


def schedule(seed: int, count: int, kinds: Sequence[T]) -> list[T]:
    """Return one seed's faults: seeds in a row use every kind equally often."""
    drawn = [kinds[(seed * count + n) % len(kinds)] for n in range(count)]
    random.Random(seed).shuffle(drawn)
    return drawn


async def run(  # noqa: PLR0917 - as many as there are choices
    seed: int,
    faults: Sequence[tuple[str, Fault]],
    logs: Path,
    servers: Servers | None = None,
    speed: float = 60.0,
    tell: Callable[[str], None] = lambda _: None,
    ending: tuple[str, Ending] | None = None,
    **environment: str,
) -> Outcome:
    """Let the faults strike one after the other, then compare; where all is well, end it."""
    outcome = Outcome()
    began = time.monotonic()
    _empty(logs)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            installed(Path(folder)) as installation,
            opened(installation, servers or Servers(), logs, seed, speed) as site,
        ):
            site.join(**environment)
            try:
                await _strike(site, seed, faults, outcome, tell)
            except StuckError as error:
                outcome.stuck = str(error)
            await _settle(site, outcome)
            if ending and outcome.faultless:
                await _end(site, *ending, outcome, tell)
            outcome.exits.update(site.exits())
    outcome.seconds = time.monotonic() - began
    _write_down(logs, outcome)
    return outcome


def _empty(logs: Path) -> None:
    shutil.rmtree(logs, ignore_errors=True)
    logs.mkdir(parents=True)


async def _strike(
    site: Site,
    seed: int,
    faults: Sequence[tuple[str, Fault]],
    outcome: Outcome,
    tell: Callable[[str], None],
) -> None:
    await site.works()
    for number, (kind, strike) in enumerate(faults):
        site.chance = random.Random(f"{seed}:{number}:{kind}")
        began = time.monotonic()
        met = await strike(site)
        (outcome.injected if met else outcome.missed)[kind] += 1
        await site.works()
        said = "" if met else " (met nothing: not counted)"
        outcome.lasted[kind].append(time.monotonic() - began)
        tell(f"{number + 1}/{len(faults)} {kind}{said}: {outcome.lasted[kind][-1]:.1f} s")
    await site.works(LAST_WORK)


async def _settle(site: Site, outcome: Outcome) -> None:
    """Let time stand still until all is done, and compare; what seems lost is given more time."""
    site.play.clock.hold()
    for stillness in STILL:
        try:
            await site.caught_up(stillness)
        except StuckError:
            outcome.settled = False
        outcome.findings = await compare(site)
        if outcome.findings.faultless:
            return


async def _end(
    site: Site, kind: str, strike: Ending, outcome: Outcome, tell: Callable[[str], None]
) -> None:
    site.chance = random.Random(f"{site.number}:{kind}")
    began = time.monotonic()
    outcome.damage = await strike(site)
    outcome.injected[kind] += 1
    outcome.lasted[kind].append(time.monotonic() - began)
    tell(f"{kind}: {outcome.lasted[kind][-1]:.1f} s")


def _write_down(logs: Path, outcome: Outcome) -> None:
    found = outcome.findings or Findings()
    lines = [
        *([f"stuck: {outcome.stuck}"] if outcome.stuck else []),
        *(f"lost: {each}" for each in found.lost),
        *(f"doubled: {each}" for each in found.doubled),
        *(f"different: {each}" for each in found.different),
        *(f"damage: {each}" for each in outcome.damage),
    ]
    (logs / "differences.txt").write_text("".join(line + os.linesep for line in lines))
