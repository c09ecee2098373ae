"""A run enters; what the commands that prove it say leaves, held against each other."""

from __future__ import annotations

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


async def verify(installation: Installation, protocol: Protocol, *words: str) -> Part:
    """Let `lockstep verify` prove the run; return what it compared."""
    done = await lockstep(installation.environment, "verify", *words)
    protocol.said(done, 0)
    return compared(done)


def compared(done: Measured) -> Part:
    """Return the counts and hashes that `lockstep verify` printed."""
    part = Part()
    for topic, count, digest in TOPIC.findall(done.out):
        part.counts[topic], part.sums[topic] = int(count), int(digest, 16)
    return part


async def verify_from(
    installation: Installation, protocol: Protocol, moment: int, whole: Part
) -> None:
    """Hold a verification from a time on against the one from the beginning.

    What it leaves out is read, counted and hashed here.
    """
    tail = await verify(installation, protocol, "--from", format_time(moment))
    async with KafkaRecording(installation.cluster) as recording:
        head = await before(recording, STAGES, moment)
    protocol.holds(
        f"the {head.counts.total()} records before the snapshots and the {tail.counts.total()} "
        f"after them have the counts and hashes of the {whole.counts.total()} of the whole run",
        holds=head + tail == whole and all(head.counts[topic] for topic in tail.counts),
    )


async def replay(
    installation: Installation, protocol: Protocol, whole: Part, *words: str
) -> Measured:
    """Let `lockstep replay` make the run again: what it makes is what was verified."""
    done = await lockstep(installation.environment, "replay", "--json", *words)
    protocol.said(done, 0)
    report = json.loads(done.out) if done.code == 0 else {"counts": {}, "digests": {}}
    made = Part()
    for topic, digest in report["digests"].items():
        made.counts[topic], made.sums[topic] = report["counts"][topic], int(digest, 16)
    protocol.holds("it made the records that were verified", holds=made == whole)
    return done
