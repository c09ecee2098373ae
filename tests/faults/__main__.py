"""Seeds and a number of faults enter; a table of what they did to the pipeline leaves."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from app.commands.stack import CHECKOUT
from tests.faults.broker import Broker, BrokerError
from tests.faults.campaign import Outcome, run, schedule
from tests.faults.kinds import BROKER_KINDS, KINDS, OPEN_KINDS

LOCAL = Path(os.environ.get("LOCKSTEP_LOCAL_DIR", CHECKOUT / ".local"))


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("./run faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds, one after another")
    parser.add_argument("--faults", type=int, default=10, help="how many faults each")
    parser.add_argument("--speed", type=float, default=60.0, help="market seconds a second")
    parser.add_argument("--only", action="append", help="a kind of fault; may be repeated")
    parser.add_argument("--list", action="store_true", help="list the kinds")
    return parser.parse_args()


async def main() -> int:
    asked = arguments()
    logging.disable()  # what clients say of servers that are away, as they must be
    if asked.list:
        say("\n".join(KINDS))
        return 0
    unknown = set(asked.only or ()) - KINDS.keys()
    if unknown:
        say(f"no such kind: {', '.join(sorted(unknown))}; --list names them")
        return 2
    broker = await own_broker()
    kinds = [
        kind
        for kind in KINDS
        if (kind in asked.only if asked.only else kind not in OPEN_KINDS)
        and (broker or kind not in BROKER_KINDS)
    ]
    try:
        outcomes = {
            seed: await one(seed, asked, kinds, broker)
            for seed in range(asked.seed, asked.seed + asked.seeds)
        }
    finally:
        if broker:
            await broker.stop()
    summary(outcomes)
    return 0 if all(outcome.faultless for outcome in outcomes.values()) else 1


async def own_broker() -> Broker | None:
    """Start a broker that may be killed, where that is possible."""
    broker = Broker(LOCAL / "faults", LOCAL)
    try:
        os.environ["LOCKSTEP_KAFKA__BOOTSTRAP"] = await broker.start()
    except BrokerError as error:
        say(f"no broker of our own ({error}): its faults are left out")
        return None
    return broker


async def one(
    seed: int, asked: argparse.Namespace, kinds: Sequence[str], broker: Broker | None
) -> Outcome:
    """Run one seed and say what became of it."""
    logs = LOCAL / "faults" / "logs" / f"seed-{seed}"
    outcome = await run(
        seed,
        [(kind, KINDS[kind]) for kind in schedule(seed, asked.faults, kinds)],
        logs,
        broker,
        asked.speed,
        lambda text: say(f"seed {seed}: {text}"),
    )
    say(f"seed {seed}: {verdict([outcome])}, {outcome.seconds:.0f} s")
    if not outcome.faultless:
        only = "".join(f" --only {kind!r}" for kind in asked.only or ())
        say(f"seed {seed}: {outcome.stuck or 'differences'}; logs in {logs}; again:")
        say(f"  ./run faults --seed {seed} --seeds 1 --faults {asked.faults}{only}")
    return outcome


def verdict(outcomes: Sequence[Outcome]) -> str:
    """Return the numbers in a line."""
    found = [outcome.findings for outcome in outcomes if outcome.findings]
    return (
        f"{sum(outcome.injected.total() for outcome in outcomes)} faults, "
        f"{sum(each.compared.total() for each in found)} records compared, "
        f"{sum(len(each.lost) for each in found)} lost, "
        f"{sum(len(each.doubled) for each in found)} doubled, "
        f"{sum(len(each.different) for each in found)} different "
        f"({sum(each.repeats for each in found)} repeats skipped, "
        f"{sum(each.gaps for each in found)} trades declared missing)"
    )


def summary(outcomes: dict[int, Outcome]) -> None:
    """Say what all seeds did together."""
    injected, missed, exits, compared = (
        Counter[str](),
        Counter[str](),
        Counter[int](),
        Counter[str](),
    )
    for outcome in outcomes.values():
        injected += outcome.injected
        missed += outcome.missed
        exits += outcome.exits
        if outcome.findings:
            compared += outcome.findings.compared
    for kind, count in injected.items():
        say(f"{count:6}  {kind}")
    for kind, count in missed.items():
        say(f"     -  {kind}: met no work {count} times")
    say("compared: " + ", ".join(f"{name} {count}" for name, count in compared.items()))
    say("workers ended: " + ", ".join(f"{code} {count}x" for code, count in sorted(exits.items())))
    say(f"{len(outcomes)} seeds: {verdict(list(outcomes.values()))}")
    failed = [str(seed) for seed, outcome in outcomes.items() if not outcome.faultless]
    say(f"failed seeds: {', '.join(failed)}" if failed else "every seed passed")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
