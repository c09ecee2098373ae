"""Explore schedules: `python -m tests.simulation --schedules 100000`, or `--seed N` for one."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.campaign import Campaign, explore
from tests.simulation.explore import Outcome, run_seed
from tests.simulation.points import POINTS
from tests.simulation.rules import REDUNDANT, REMOVED, objecting, without
from tests.simulation.tape import shrink
from tests.simulation.world import FREEZE, KILL


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=1000, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2, help="how many processes")
    parser.add_argument("--seed", type=int, help="run this one, and show what happened")
    parser.add_argument("--rules", action="store_true", help="take out each safety rule in turn")
    parser.add_argument(
        "--without", choices=REMOVED, metavar="RULE", help="with --seed: no such rule"
    )
    arguments = parser.parse_args()
    if arguments.seed is not None:
        return show(arguments.seed, arguments.without)
    if arguments.rules:
        return without_each(arguments.schedules)
    return campaign(arguments.first, arguments.schedules, arguments.jobs)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def show(seed: int, rule: str | None) -> int:
    """Run one seed; if it fails, tell the story with as few unusual choices as will do."""

    def again(drawn: list[int] | None) -> Outcome:
        if rule is not None:
            return without(rule, seed, drawn)
        return run_seed(seed, replay=drawn, traced=drawn is not None)

    outcome = again(None)
    say(f"seed {seed}: {outcome.scenario}, {outcome.steps} steps, {outcome.history}")
    if not outcome.wrong:
        say("nothing was wrong")
        return 0

    least = shrink(outcome.drawn, lambda drawn: bool(again(drawn).wrong))
    small = again(least)
    say("\n".join(small.trace))
    say(
        f"{sum(map(bool, outcome.drawn))} unusual choices shrank to {sum(map(bool, least))}; "
        f"above is that run, and what was wrong with it:"
    )
    report(small)
    return 1


def report(outcome: Outcome) -> None:
    for sentence in outcome.wrong[:10]:
        say(f"  {sentence[:1000]}")


def campaign(first: int, count: int, jobs: int) -> int:
    began = time.monotonic()

    def progress(so_far: Campaign) -> None:
        rate = so_far.schedules / (time.monotonic() - began)
        say(
            f"{so_far.schedules} of {count} schedules, {rate:.0f} a second, "
            f"{so_far.faults()} faults, {len(so_far.failed)} failed"
        )

    result = explore(first, count, jobs, progress)
    say(table(result))
    for seed, wrong in result.failed.items():
        say(f"seed {seed} failed: {wrong[:500]}")
        say(f"  python -m tests.simulation --seed {seed}")
    for seed in result.differed:
        say(f"seed {seed} took another course when it was run again: something isn't drawn")
    for point, fate in result.missed():
        say(f"never reached: {fate} at {point}")
    return int(bool(result.failed or result.differed or result.missed()))


def table(result: Campaign) -> str:
    """Return how often each point was hit by each fault in a run that came out right."""
    width = max(map(len, POINTS))
    lines = [f"{'point':{width}} {'passed':>10} {'kill':>7} {'freeze':>7} {'fail':>7}"]
    for point in POINTS:
        counts = [result.points.get((point, fate), 0) for fate in ("go", KILL, FREEZE, "fail")]
        lines.append(f"{point:{width}} {counts[0]:10} {counts[1]:7} {counts[2]:7} {counts[3]:7}")
    lines += [f"{name}: {times}" for name, times in sorted(result.events.items())]
    lines.append(
        f"{result.schedules} schedules ({result.again} of them twice), {result.steps} steps, "
        f"{result.faults()} faults, {result.repeats} repeats on topics, "
        f"{len(result.failed)} failed, {len(result.differed)} differed"
    )
    return "\n".join(lines)


def without_each(count: int) -> int:
    """Take out each rule and say which seed objects."""
    survivors = 0
    for name in REMOVED:
        found = objecting(name, count)
        survivors += found is None and name not in REDUNDANT
        none = f"no seed of {count} objects: {REDUNDANT.get(name, 'unexplained')}"
        told = f"seed {found.seed}: {found.wrong[0][:200]}" if found else none
        say(f"without {name!r}: {told}")
    return int(survivors > 0)


if __name__ == "__main__":
    sys.exit(main())
