"""Explore schedules: `python -m tests.simulation --schedules 100000`, or `--seed N` for one."""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.simulation.campaign import Campaign, explore
from tests.simulation.explore import Outcome, run_seed
from tests.simulation.points import FREEZE, KILL, POINTS
from tests.simulation.rules import COVERED, REMOVED, objecting, without
from tests.simulation.tape import shrink

PROGRESS_SECONDS = 10.0
INTERRUPTED = 130


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=1000, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, help="how many; one a core by default"
    )
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
    return campaign(arguments.first, arguments.schedules, arguments.processes)


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


def campaign(first: int, count: int, processes: int) -> int:
    """Run seeds; return 1 if one failed, one took another course, or a point was never hit."""
    began = told = time.monotonic()

    def progress(so_far: Campaign, new: Campaign) -> None:
        nonlocal told
        for seed, wrong in new.failed.items():
            say(f"seed {seed} failed: {wrong[:500]}\n  {command(seed)}")
        now = time.monotonic()
        if now - told >= PROGRESS_SECONDS or so_far.schedules == count:
            told = now
            rate = so_far.schedules / (now - began)
            say(
                f"{so_far.schedules} of {count} schedules, {rate:.0f} a second, "
                f"{so_far.faults()} faults, {len(so_far.failed)} failed"
            )

    result = explore(first, count, processes, progress)
    say(table(result))
    if result.stopped:
        say(
            f"stopped; the rest: python -m tests.simulation --first {first + result.schedules} "
            f"--schedules {count - result.schedules}"
        )
    for seed in result.failed:
        say(f"failed: {command(seed)}")
    for seed in result.differed:
        say(f"took another course when it was run again, so something isn't drawn: {command(seed)}")
    for point, fate in result.missed():
        say(f"never reached: {fate} at {point}")
    wrong = result.failed or result.differed or result.missed()
    return INTERRUPTED if result.stopped and not wrong else int(bool(wrong))


def command(seed: int) -> str:
    """Return the command that runs a seed again."""
    return f"python -m tests.simulation --seed {seed}"


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
    """Take out each rule and say which seed objects; of a second line, behind which rule."""
    survivors = 0
    for name in REMOVED:
        found = objecting(name, count)
        if name in COVERED:
            survivors += second_line(name, count, found)
        elif found is None:
            survivors += 1
            say(f"without {name!r}: NO SEED of {count} objects: no safety rule, or a blind oracle")
        else:
            say(f"without {name!r}: seed {found.seed}: {found.wrong[0][:200]}")
    return int(survivors > 0)


def second_line(name: str, count: int, found: Outcome | None) -> int:
    """Say what becomes of a rule without its cover; return 1 where it is no second line."""
    cover = COVERED[name]
    alone = objecting(name, count, cover.alone)
    both = objecting(name, count, cover.both)
    seeds = {
        "it": found,
        "that one": alone,
        "both": both,
    }
    told = "; ".join(
        f"without {who}: " + (f"seed {o.seed}: {o.wrong[0][:120]}" if o else f"{count} seeds right")
        for who, o in seeds.items()
    )
    say(f"{name!r} is the second line behind {cover.name!r}: {told}")
    return int(found is not None or alone is not None or both is None)


if __name__ == "__main__":
    sys.exit(main())
