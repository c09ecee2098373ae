"""Seeds and a number of faults enter; a table of what they did to the pipeline leaves."""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from app.commands.stack import CHECKOUT
from app.errors import UNREACHABLE
from tests.faults.campaign import run, schedule
from tests.faults.endings import CYCLE, ENDINGS
from tests.faults.kinds import BROKER, KINDS, POSTGRES
from tests.faults.report import FILE, Report
from tests.faults.servers import Broker, Postgres, Server, ServerError, check, fetch
from tests.faults.site import Servers

LOCAL = Path(os.environ.get("LOCKSTEP_LOCAL_DIR", CHECKOUT / ".local"))
ALL = (*KINDS, *ENDINGS)
ROUNDS = 4
"""How often more seeds are added for kinds that were rare, before that is given up."""


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("./run faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
    parser.add_argument("--faults", type=int, default=12, help="how many faults each")
    parser.add_argument("--each", type=int, default=0, help="add seeds until each kind has so many")
    parser.add_argument("--jobs", type=int, default=1, help="how many seeds side by side")
    parser.add_argument("--speed", type=float, default=60.0, help="market seconds a second")
    parser.add_argument("--only", action="append", help="a kind of fault; may be repeated")
    parser.add_argument("--list", action="store_true", help="list the kinds")
    parser.add_argument("--lane", type=int, default=0, help="whose servers to use (among jobs)")
    return parser.parse_args()


async def main() -> int:
    asked = arguments()
    logging.disable()  # what clients say of servers that are away, as they must be
    if asked.list:
        say("\n".join(ALL))
        return 0
    unknown = set(asked.only or ()) - set(ALL)
    if unknown:
        say(f"no such kind: {', '.join(sorted(unknown))}; --list names them")
        return 2
    single = asked.seeds == 1 and not asked.each
    try:
        report = await (alone if single else many)(asked)
    except ServerError as error:
        say(f"seed {asked.seed}: {error}" if single else str(error))
        return UNREACHABLE
    for line in report.lines(asked.only or ALL, asked.each or 1):
        say(line)
    return 1 if report.failed else 0


async def many(asked: argparse.Namespace) -> Report:
    """Run every seed in a process of its own, some side by side, and more where kinds are rare."""
    await fetch(LOCAL)
    kinds = asked.only or ALL
    report = await each_of(
        range(asked.seed, asked.seed + asked.seeds), asked, asked.only, asked.faults
    )
    following = asked.seed + asked.seeds
    for _ in range(ROUNDS):
        rare = report.rare([kind for kind in kinds if kind not in unable(report)], asked.each)
        if not rare or not report.compared:
            break
        faults = min(asked.faults, sum(kind in KINDS for kind in rare))
        ends = max((missing for kind, missing in rare.items() if kind in ENDINGS), default=0)
        strikes = sum(missing for kind, missing in rare.items() if kind in KINDS)
        count = max(math.ceil(strikes / max(faults, 1)), ends * sum(k in ENDINGS for k in rare))
        more = range(following, following + count)
        following += count
        report += await each_of(more, asked, list(rare), faults)
    return report


def unable(report: Report) -> set[str]:
    """Return the kinds that this machine can't have."""
    return {kind for kind in (*BROKER, *POSTGRES) if not report.lasted.get(kind)}


async def each_of(
    seeds: Iterable[int], asked: argparse.Namespace, only: Sequence[str] | None, faults: int
) -> Report:
    waiting = list(reversed(list(seeds)))
    report = Report()

    async def lane(number: int) -> None:
        nonlocal report
        while waiting:
            seed = waiting.pop()
            if await child(seed, number, asked, only, faults) == UNREACHABLE:
                waiting.clear()  # the next would find no servers either
            report += Report.read(seed, logs_of(seed))

    await asyncio.gather(*(lane(number) for number in range(asked.jobs)))
    return report


async def child(
    seed: int, lane: int, asked: argparse.Namespace, only: Sequence[str] | None, faults: int
) -> int:
    words = [f"--seed={seed}", "--seeds=1", f"--faults={faults}", f"--speed={asked.speed}"]
    words += [f"--lane={lane}", *(f"--only={kind}" for kind in only or ())]
    (logs_of(seed) / FILE).unlink(missing_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults", *words,
        cwd=CHECKOUT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    async for line in process.stdout:
        if line.startswith(b"seed "):  # not its summary: there is one of all
            say(line.decode().rstrip())
    return await process.wait()


def logs_of(seed: int) -> Path:
    return LOCAL / "faults" / "logs" / f"seed-{seed}"


async def alone(asked: argparse.Namespace) -> Report:
    """Run one seed here and say what became of it."""
    await fetch(LOCAL)
    seed, folder = asked.seed, LOCAL / "faults" / f"lane-{asked.lane}"
    broker, postgres = Broker(folder, LOCAL), Postgres(folder)
    started = [server for server in (broker, postgres) if await own(seed, server)]
    servers = Servers(
        broker if broker in started else None, postgres if postgres in started else None
    )
    try:
        check()
        return await one(seed, asked, servers)
    finally:
        for server in started:
            await server.stop()


async def own(seed: int, server: Server) -> bool:
    """Start a server that may be killed, where that is possible."""
    try:
        await server.start()
    except ServerError as error:
        say(f"seed {seed}: no {type(server).__name__} of our own ({error}): not killed")
        return False
    return True


async def one(seed: int, asked: argparse.Namespace, servers: Servers) -> Report:
    kinds = [
        kind
        for kind in KINDS
        if (kind in asked.only if asked.only else True)
        and (servers.broker or kind not in BROKER)
        and (servers.postgres or kind not in POSTGRES)
    ]
    ends = [kind for kind in CYCLE if not asked.only or kind in asked.only]
    end = ends[seed % len(ends)] if ends else None
    outcome = await run(
        seed,
        [(kind, KINDS[kind]) for kind in schedule(seed, asked.faults if kinds else 0, kinds)],
        logs_of(seed),
        servers,
        asked.speed,
        lambda text: say(f"seed {seed}: {text}"),
        (end, ENDINGS[end]) if end else None,
    )
    report = Report.of(seed, outcome)
    report.write(logs_of(seed))
    say(f"seed {seed}: {report.verdict()}, {outcome.seconds:.0f} s")
    if not outcome.faultless:
        only = "".join(f" --only {kind!r}" for kind in asked.only or ())
        say(f"seed {seed}: {outcome.stuck or 'differences'}; logs in {logs_of(seed)}; again:")
        say(f"seed {seed}:   ./run faults --seed {seed} --seeds 1 --faults {asked.faults}{only}")
    return report


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
