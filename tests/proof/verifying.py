"""A run enters; what the commands that prove it say leaves, held against each other."""

from __future__ import annotations

import asyncio
import json
import re

from app.pipeline import STAGES
from app.replay.sources.kafka import KafkaRecording
from app.times import format_time
from tests.integration.worker import Installation
from tests.proof.processes import Measured, lockstep
from tests.proof.protocol import Protocol
from tests.proof.spans import Part, before

TOPIC = re.compile(r"(\w+) (\d+) ([0-9a-f]{32})")


async def proved(
    installation: Installation, protocol: Protocol, moment: int, *others: tuple[str, ...]
) -> float:
    """Verify a run, also from a time on, and replay it; all of them must say the same.

    They only read, so they run side by side.

    Args:
        installation: The run.
        protocol: Where what they say is written down.
        moment: Verified from here on, too, milliseconds since the epoch UTC.
        others: Options of further replays.

    Returns:
        The largest memory of the replay of the topics, MiB.
    """
    commands = [("verify",), ("verify", "--from", format_time(moment)), ("replay", "--json")]
    commands += [("replay", "--json", *words) for words in others]
    done = await asyncio.gather(*(lockstep(installation.environment, *each) for each in commands))
    for each in done:
        protocol.said(each, 0)
    whole, tail = compared(done[0]), compared(done[1])
    for each in done[2:]:
        what = f"what `{' '.join(each.words)}` made is what was verified"
        protocol.holds(what, holds=made(each) == whole)
    async with KafkaRecording(installation.cluster) as recording:
        head = await before(recording, STAGES, moment)
    protocol.holds(
        f"the {head.counts.total()} records before the snapshots, counted and hashed here, and the "
        f"{tail.counts.total()} that were verified from them on have the counts and hashes of the "
        f"{whole.counts.total()} of the whole run",
        holds=head + tail == whole and 0 < tail.counts.total() < whole.counts.total(),
    )
    return done[2].peak


def compared(done: Measured) -> Part:
    """Return the counts and hashes that `lockstep verify` printed."""
    part = Part()
    for topic, count, digest in TOPIC.findall(done.out):
        part.counts[topic], part.sums[topic] = int(count), int(digest, 16)
    return part


def made(done: Measured) -> Part:
    """Return the counts and hashes that `lockstep replay --json` printed."""
    part = Part()
    report = json.loads(done.out) if done.code == 0 else {"digests": {}}
    for topic, digest in report["digests"].items():
        part.counts[topic], part.sums[topic] = report["counts"][topic], int(digest, 16)
    return part
