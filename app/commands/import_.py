"""Dump files in; their trades on the topic `trades`, as a live feed would have put them there."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app import running
from app.commands.times import time_of
from app.errors import INTERRUPTED, ConfigurationError

if TYPE_CHECKING:
    from app.config import Settings
    from app.market.importing import Dump, Manner
    from app.market.loading import Loaded, Tell


@click.command(name="import")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--instrument", required=True, metavar="NAME", help="For example BINANCE:BTCUSDT.")
@click.option("--account", "accounts", multiple=True, help="Only this account takes part.")
@click.option(
    "--from", "start", metavar="TIME", help="What the files hold before is history to warm up on."
)
def import_(
    files: tuple[Path, ...], instrument: str, accounts: tuple[str, ...], start: str | None
) -> None:
    """Put dump FILES of one instrument into `trades`, to be replayed.

    Each continues the one before. Run it again to go on after an interruption: nothing is put
    there twice.
    """
    from app.config import load  # noqa: PLC0415 - help loads nothing
    from app.market.importing import Dump  # noqa: PLC0415

    settings = load()
    manner = _manner(settings, start)
    dump = Dump(instrument, files)
    _say(dump, _run(settings, dump, accounts, manner), settings, manner)


def _manner(settings: Settings, start: str | None) -> Manner:
    from app.market.importing import Manner  # noqa: PLC0415 - help loads nothing

    return Manner(
        start=time_of(start, "--from"),
        history_count=settings.market.history_count,
        flush_count=settings.market.flush_count,
        grace=settings.market.grace,
    )


async def _load(
    settings: Settings, dump: Dump, accounts: tuple[str, ...], manner: Manner, tell: Tell
) -> Loaded:
    from app.market.loading import load  # noqa: PLC0415 - help loads nothing
    from app.replay.sources.kafka import KafkaRecording  # noqa: PLC0415
    from app.runtime.kafka import KafkaLog  # noqa: PLC0415

    known = {account.name: account for account in settings.accounts()}
    for name in accounts:
        if name not in known:
            raise ConfigurationError(
                f"there is no account {name!r} in the configuration, only {', '.join(known)}."
            )
    chosen = [known[name] for name in accounts or known]
    kafka = settings.kafka
    log = KafkaLog(kafka.bootstrap, kafka.prefix, **kafka.security())
    async with AsyncExitStack() as stack:
        await log.start()
        stack.push_async_callback(log.stop)
        recording = await stack.enter_async_context(KafkaRecording(kafka))
        return await load(
            log,
            recording,
            dump,
            accounts=chosen,
            interval=settings.interval,
            manner=manner,
            tell=tell,
        )


def _run(settings: Settings, dump: Dump, accounts: tuple[str, ...], manner: Manner) -> Loaded:
    """Import, and show how far it has come; when interrupted, say how to go on."""
    from app.commands.progress import Meter  # noqa: PLC0415 - help loads nothing
    from app.market.extent import rows  # noqa: PLC0415
    from app.times import format_time  # noqa: PLC0415

    done = 0
    try:
        with Meter(dump.instrument, "trades", rows(dump.files)) as meter:

            def tell(count: int, moment: int) -> None:
                nonlocal done
                done = count
                meter.tell(count, format_time(moment)[:16])

            return running.run(_load(settings, dump, accounts, manner, tell))
    except (KeyboardInterrupt, SystemExit) as stop:
        click.echo(f"Stopped after {done:,} trades: run the same command again to go on.", err=True)
        if isinstance(stop, SystemExit):
            raise
        raise click.exceptions.Exit(INTERRUPTED) from None


def _say(dump: Dump, loaded: Loaded, settings: Settings, manner: Manner) -> None:
    from app.market.importing import beginning  # noqa: PLC0415 - help loads nothing

    before = loaded.standing.last_id
    if not loaded.trades:
        click.echo(f"{dump.instrument}: nothing is new, trades up to {before} stand there already.")
    else:
        since = f", after {before}" if before is not None else ""
        gaps = f" and {loaded.gaps} gaps" if loaded.gaps else ""
        click.echo(f"{dump.instrument}: {loaded.trades:,} trades{gaps} imported{since}.")
    note = beginning(dump, settings.interval, manner.start) if before is None else None
    if note is not None:
        click.echo(note)
    if loaded.missed:
        click.echo(
            f"{loaded.missed:,} trades of the files stand there as a gap, which is final: import "
            f"into a new run (LOCKSTEP_KAFKA__PREFIX) to have them."
        )
    missing = sorted(
        {
            name
            for account in settings.accounts()
            if account.name in loaded.joined
            for name in account.instruments
            if name != dump.instrument
        }
    )
    if missing:
        click.echo(f"Its accounts trade {', '.join(missing)}, too: import those as well.")
    click.echo("Next: `lockstep replay`")
