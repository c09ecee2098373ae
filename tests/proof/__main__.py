"""A kind of run enters; whether that run and its replay are the same leaves, with its numbers."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import traceback
from pathlib import Path

from app.commands.stack import CHECKOUT
from tests.proof import days, live
from tests.proof.protocol import Protocol

LOCAL = Path(os.environ.get("LOCKSTEP_LOCAL_DIR", CHECKOUT / ".local")) / "proof"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("./run proof", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="chooses markets, and what is struck")
    kinds = parser.add_subparsers(dest="kind", required=True)
    short = kinds.add_parser("live", help="live on the local exchange, with all that goes wrong")
    short.add_argument("--minutes", type=int, default=40, help="of the market, at least")
    short.add_argument("--speed", type=float, default=12.0, help="market seconds a second")
    long = kinds.add_parser("days", help="imported days, worked on as they come")
    long.add_argument("--days", type=int, default=2)
    long.add_argument("--trades", type=int, default=10_000_000, help="at least so many")
    return parser.parse_args()


async def main() -> int:
    asked = arguments()
    logging.disable()  # what clients say of workers that are killed, as they must be
    protocol = Protocol(LOCAL / f"{asked.kind}.txt")
    try:
        if asked.kind == "live":
            wanted = live.Wanted(asked.seed, asked.minutes, asked.speed)
            await live.prove(wanted, LOCAL, protocol)
        else:
            await days.prove(asked.seed, asked.days, asked.trades, LOCAL, protocol)
    except Exception:  # noqa: BLE001 - whatever it was, it is no proof
        protocol.holds(f"it came to its end\n{traceback.format_exc()}", holds=False)
    protocol.say(f"{len(protocol.wrong)} wrong; all of this is in {LOCAL / asked.kind}.txt")
    return 1 if protocol.wrong else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
