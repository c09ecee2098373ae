"""The topics of a run in; proof that its records follow from its inputs, or what differs, out."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, aclosing
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from app import running
from app.errors import ConfigurationError, DifferenceError, UnprovenError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from app.config import Settings
    from app.replay.verify import Difference, Verdict

PAUSE = 10.0
"""Seconds from one look at what has come to the next, where it follows."""

SHOWN = 3
"""Stages' keys that a sentence names; of more it says how many."""


@click.command()
@click.option("--from", "start", metavar="TIME", help="Start at the snapshots before then.")
@click.option("--follow", "following", is_flag=True, help="Go on as the topics grow.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def verify(*, start: str | None, following: bool, as_json: bool) -> None:
    """Prove that every record of the run follows from its inputs.

    TIME is like 2019-10-11T12:00Z. Ends with 3 where a record differs, with 1 where a part of the
    run could not be compared.
    """
    time = _moment(start)
    verdict = running.run(_follow(time, as_json=as_json) if following else _verify(time))
    if as_json:
        click.echo(json.dumps(asdict(verdict)))
    else:
        _say(verdict)
    if verdict.different:
        raise DifferenceError(
            f"{verdict.different} records are not what their inputs make of them; the first is "
            f"{verdict.differences[0].name}."
        )
    if verdict.unproven:
        raise UnprovenError(incomplete(verdict))


def _moment(text: str | None) -> int | None:
    from app.times import parse_time  # noqa: PLC0415 - help loads nothing

    try:
        return None if text is None else parse_time(text)
    except ValueError as error:
        raise ConfigurationError(f"--from: {error}.") from error


async def _verify(time: int | None) -> Verdict:
    from app.commands.progress import Meter  # noqa: PLC0415 - help loads nothing
    from app.config import load  # noqa: PLC0415
    from app.pipeline import STAGES  # noqa: PLC0415
    from app.replay.sources.kafka import KafkaRecording  # noqa: PLC0415
    from app.replay.verify import verify as compare  # noqa: PLC0415
    from app.replay.verify import volume  # noqa: PLC0415

    settings = load()
    record = _recorder(settings, time)
    async with KafkaRecording(settings.kafka) as recording:
        with Meter("verify", "records", await volume(recording, STAGES)) as meter:
            verdict = await compare(recording, STAGES, time, meter.tell)
    await record(verdict)
    return verdict


def _recorder(settings: Settings, time: int | None) -> Callable[[Verdict], Awaitable[None]]:
    """Return what records a verdict, and says once why it can't."""
    from app.replay.writers.proofs import Proofs  # noqa: PLC0415 - loads a driver

    proofs = Proofs(settings, time)
    said: set[str] = set()

    async def record(verdict: Verdict) -> None:
        problem = await proofs.note(verdict)
        if problem is not None and problem not in said:
            said.add(problem)
            click.echo(f"Not recorded in the table `replays`: {problem}", err=True)

    return record


async def _follow(time: int | None, *, as_json: bool) -> Verdict:
    """Say how far it has come, till something differs or can't be compared; return that verdict."""
    from app.commands.progress import Meter  # noqa: PLC0415 - help loads nothing
    from app.config import load  # noqa: PLC0415
    from app.pipeline import STAGES  # noqa: PLC0415
    from app.replay.sources.kafka import KafkaRecording  # noqa: PLC0415
    from app.replay.verify import Verdict, follow  # noqa: PLC0415

    last = Verdict()
    try:
        async with AsyncExitStack() as stack:
            settings = load()
            record = _recorder(settings, time)
            recording = await stack.enter_async_context(KafkaRecording(settings.kafka))
            meter = stack.enter_context(Meter("verify", "records", None))
            rounds = await stack.enter_async_context(
                aclosing(follow(recording, STAGES, time, meter.tell))
            )
            async for verdict in rounds:
                if verdict.different or verdict.unproven:
                    await record(verdict)
                    return verdict
                before, last = last.through or 0, verdict
                if (verdict.through or 0) > before:
                    click.echo(json.dumps(asdict(verdict)) if as_json else so_far(verdict))
                    await record(verdict)
                await asyncio.sleep(PAUSE)
    except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
        # A signal is an exception where it strikes: here, or in the loop, which cancels this then.
        click.echo(f"stopped: {so_far(last)}", err=True)
        raise
    return last


def so_far(verdict: Verdict) -> str:
    """Return, in one line, what was found equal."""
    from app.times import format_time  # noqa: PLC0415 - help loads nothing

    count = sum(verdict.counts.values())
    if not verdict.through:
        return f"{count} records are equal"
    return f"{count} records are equal, through {format_time(verdict.through)}"


def incomplete(verdict: Verdict) -> str:
    """Return, in one sentence, what could not be compared, and why."""
    senders = list(verdict.unproven)
    shown = ", ".join(senders[:SHOWN])
    if len(senders) > SHOWN:
        shown += f" and {len(senders) - SHOWN} others"
    if not verdict.truncated:
        return (
            f"{shown} could not be stepped to the end, though no record differs: "
            f"{verdict.unproven[senders[0]]}"
        )
    inputs = ", ".join(f"{place} at offset {first}" for place, first in verdict.truncated.items())
    return (
        f"{shown} could not be compared: retention has taken the beginning of their inputs "
        f"({inputs}), and no snapshot since then is left; the next are written at 00:00 UTC, so "
        f"verify again after that. What could be compared is equal."
    )


def _say(verdict: Verdict) -> None:
    for difference in verdict.differences[:1]:
        _say_difference(difference)
    if not verdict.differences and not verdict.unproven:
        counts = ", ".join(
            f"{topic} {count} {verdict.digests[topic]}" for topic, count in verdict.counts.items()
        )
        click.echo(f"equal{_since(verdict)}: {sum(verdict.counts.values())} records ({counts})")
    if verdict.repeats:
        click.echo(f"{verdict.repeats} records stand twice.", err=True)
    if verdict.pending:
        click.echo(f"{verdict.pending} records at the end are not written yet.", err=True)
    if verdict.gone:
        click.echo(f"{verdict.gone} records were made that retention has taken.", err=True)


def _since(verdict: Verdict) -> str:
    from app.times import format_time  # noqa: PLC0415 - help loads nothing

    if verdict.since is None:
        return ""
    gone = "; before that the log is gone" if verdict.truncated else ""
    return f", verified from {format_time(verdict.since)}{gone}"


def _say_difference(difference: Difference) -> None:
    from app.times import format_time  # noqa: PLC0415 - help loads nothing

    # Configuration, for one, has no time.
    at = f" at {format_time(difference.time)}" if difference.time else ""
    click.echo(f"first difference: {difference.name}{at}")
    click.echo(f"  stands at  {difference.place or 'nowhere: it is missing'}")
    if difference.field:
        click.echo(f"  field      {difference.field}")
    click.echo(f"  recorded   {difference.recorded or 'nothing'}")
    click.echo(f"  replayed   {difference.replayed or 'nothing: no input makes it'}")
    for name in difference.chain:
        click.echo(f"  caused by  {name}")
