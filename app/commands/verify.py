"""The topics of a run in; proof that its records follow from its inputs, or what differs, out."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from app.errors import DifferenceError

if TYPE_CHECKING:
    from app.replay.verify import Difference, Verdict


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def verify(*, as_json: bool) -> None:
    """Prove that every record of the run follows from its inputs."""
    verdict = asyncio.run(_verify())
    if as_json:
        click.echo(json.dumps(asdict(verdict)))
    else:
        _say(verdict)
    if verdict.differences:
        raise DifferenceError(
            f"{len(verdict.differences)} records are not what their inputs make of them; the first "
            f"is {verdict.differences[0].name}."
        )


async def _verify() -> Verdict:
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.pipeline import STAGES  # noqa: PLC0415
    from app.replay.verify import verify as compare  # noqa: PLC0415
    from app.runtime.kafka import KafkaLog  # noqa: PLC0415

    kafka = load().kafka
    log = KafkaLog(kafka.bootstrap, kafka.prefix, **kafka.security())
    await log.start(reading_only=True)
    try:
        return await compare(log, STAGES)
    finally:
        await log.stop()


def _say(verdict: Verdict) -> None:
    for difference in verdict.differences[:1]:
        _say_difference(difference)
    if not verdict.differences:
        counts = ", ".join(
            f"{topic} {count} {verdict.digests[topic]}" for topic, count in verdict.counts.items()
        )
        click.echo(f"equal: {sum(verdict.counts.values())} records ({counts})")
    if verdict.repeats:
        click.echo(f"{verdict.repeats} records stand twice, with the same bytes.", err=True)
    if verdict.pending:
        click.echo(f"{verdict.pending} records at the end are not written yet.", err=True)


def _say_difference(difference: Difference) -> None:
    from app.times import format_time  # noqa: PLC0415

    click.echo(f"first difference: {difference.name} at {format_time(difference.time)}")
    click.echo(f"  stands at  {difference.place or 'nowhere: it is missing'}")
    if difference.field:
        click.echo(f"  field      {difference.field}")
    click.echo(f"  recorded   {difference.recorded or 'nothing'}")
    click.echo(f"  replayed   {difference.replayed or 'nothing: no input makes it'}")
    for name in difference.chain:
        click.echo(f"  caused by  {name}")
